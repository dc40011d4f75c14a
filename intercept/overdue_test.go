package intercept_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"exectape/intercept"
	"exectape/session"
)

// hanging is a recording on a disk that hangs: the first commit of each
// direction is overdue at once, and returns when release is closed.
type hanging struct {
	*recording
	hung    chan struct{} // a place for each direction
	release chan struct{}
}

func (h *hanging) Commit(overdue func(error)) error {
	select {
	case h.hung <- struct{}{}:
		go overdue(errors.New("the disk hangs"))
		<-h.release
		return session.ErrOverdue
	default:
		return nil
	}
}

// onAHangingDisk returns a session whose recording hangs until release is
// called.
func onAHangingDisk(t *testing.T, policy session.Policy) (p *proxy, client, target *net.TCPConn, fromServer io.Reader, release func()) {
	t.Helper()
	let := make(chan struct{})
	p, c, s, r := upgradedPair(t, "/exec/abcdefgh", func(s *intercept.Server) {
		s.Policy = policy
		open := s.Open
		s.Open = func(info session.Info) (session.Recorder, error) {
			r, err := open(info)
			return &hanging{r.(*recording), make(chan struct{}, 2), let}, err
		}
	})
	release = sync.OnceFunc(func() { close(let) })
	t.Cleanup(release)
	return p, c, s, r, release
}

func TestASessionGoesOnThatHangsInItsRecording(t *testing.T) {
	p, client, target, fromServer, _ := onAHangingDisk(t, session.FailOpen)
	streams := opening(t, "error", "stdin", "stdout")
	write(t, client, streams) // hangs
	if got := read(t, target, len(streams)); string(got) != streams {
		t.Errorf("the target read % x", got)
	}
	var all string
	for _, word := range []string{"one", "two", "three"} { // the first of them hangs
		write(t, target, dataFrame(t, 5, word))
		all += dataFrame(t, 5, word)
	}
	if got := read(t, fromServer, len(all)); string(got) != all {
		t.Errorf("the client read % x, want % x", got, all)
	}
	write(t, client, dataFrame(t, 3, "typed"))
	if got := read(t, target, len(dataFrame(t, 3, "typed"))); string(got) != dataFrame(t, 3, "typed") {
		t.Errorf("the target read % x", got)
	}
	_, _ = client.Close(), target.Close()
	r := p.sessions(1)[0] // which ends though what hung still does
	if got := r.data(session.Output, session.Stdout); got != "onetwothree" {
		t.Errorf("stdout = %q", got)
	}
	for p.logs.FilterMessage("session ended").Len() == 0 {
		runtime.Gosched()
	}
	if err := has(p.logs, "session not fully recorded", "error", "the disk hangs"); err != nil {
		t.Error(err)
	}
}

func TestAClosedPolicyEndsASessionThatHangsInItsRecording(t *testing.T) {
	p, client, target, fromServer, _ := onAHangingDisk(t, session.FailClosed)
	streams := opening(t, "error", "stdin", "stdout")
	write(t, client, streams)
	farewell, err := io.ReadAll(fromServer)
	if err != nil || !strings.Contains(string(farewell), "could not be recorded: the disk hangs") {
		t.Errorf("farewell = %q, %v", farewell, err)
	}
	_ = client.Close()
	if got, _ := io.ReadAll(target); len(got) > 0 {
		t.Errorf("the target read % x, which is not recorded", got)
	}
	if end := p.sessions(1)[0].end(t); end.Reason != session.EndByUs {
		t.Errorf("end = %+v", end)
	}
}

func TestWhoHungInARecordingMayComeBackAtAnyTime(t *testing.T) {
	for range 20 {
		p, client, target, fromServer, release := onAHangingDisk(t, session.FailOpen)
		go release()
		word := dataFrame(t, 5, "word")
		write(t, target, strings.Repeat(word, 50))
		if got := read(t, fromServer, 50*len(word)); string(got) != strings.Repeat(word, 50) {
			t.Errorf("the client read % x", got)
		}
		_, _ = client.Close(), target.Close()
		p.sessions(1)
	}
}
