package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"exectape/e2e/kubelet"
	"exectape/e2e/local"
	"exectape/session"
)

// killsVariable says how often exectape is killed; a few times, unless it does.
const killsVariable = "EXECTAPE_TEST_KILLS"

// TestNoKillLosesAByteThatAClientHasReceived kills exectape at random moments:
// of sessions, and of the recovery of those that were killed before.
func TestNoKillLosesAByteThatAClientHasReceived(t *testing.T) {
	kills := 12
	if said := os.Getenv(killsVariable); said != "" {
		var err error
		if kills, err = strconv.Atoi(said); err != nil {
			t.Fatalf("%s=%q: not a number of kills", killsVariable, said)
		}
	}
	runtime := startLocal(t)
	e := newExectape(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN=127.0.0.1:0", "EXECTAPE_LOG_LEVEL=info")
	kinds := []traffic{muchOutput(t), aTerminal, manySessions}
	e.start()
	var received, sessions int
	for n := 0; n < kills; n++ {
		w := &witnesses{
			runtime: runtime,
			kubelet: kubelet.Kubelet{Proxy: &url.URL{Scheme: "socks5", Host: e.logs("listening").Text("addr")}},
		}
		kinds[n%len(kinds)](patiently(t), w)
		<-time.After(rand.N(killedWithin))
		e.running.Kill()
		w.wait()
		if n%4 == 3 { // and its successor, at once
			n++
			e.isKilledWithin(rand.N(killedWithin))
		}
		e.start()
		casts := e.recovered()
		for _, s := range w.sessions {
			sessions++
			received += len(s.answer().stdout)
			s.in(t, casts)
		}
		if t.Failed() {
			t.Fatalf("the kill was the %d. of %d", n+1, kills)
		}
	}
	t.Logf("%d kills: %d sessions, whose clients had received %d bytes", kills, sessions, received)
}

// killedWithin is when exectape is killed at the latest, after it has started or
// sessions have.
const killedWithin = 250 * time.Millisecond

// isKilledWithin starts exectape and kills it.
func (e *exectape) isKilledWithin(d time.Duration) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), d)
	defer cancel()
	if running, err := e.program.Start(ctx); err == nil {
		running.Kill()
	}
}

// A traffic opens sessions until exectape dies.
type traffic func(context.Context, *witnesses)

// witnesses are clients who keep what they have received.
type witnesses struct {
	runtime *local.Server
	kubelet kubelet.Kubelet
	going   sync.WaitGroup

	mu       sync.Mutex // guards sessions
	sessions []*witness
}

// A witness is the client of one session.
type witness struct {
	process kubelet.Process
	session *kubelet.Session
	cancel  context.CancelFunc
	err     error // how it ended
}

// answer is what the client has received.
func (w *witness) answer() answer {
	return answer{w.session.Stdout.Bytes(), w.session.Stderr.Bytes(), w.err}
}

// open opens a session; do, if it is not nil, is what the client does in it. It
// reports whether the session ended by itself.
func (w *witnesses) open(ctx context.Context, process kubelet.Process, do func(*kubelet.Session)) (ended bool) {
	u, err := w.runtime.Exec(ctx, process)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &witness{process: process, session: w.kubelet.Open(ctx, u, process), cancel: cancel}
	w.mu.Lock()
	w.sessions = append(w.sessions, s)
	w.mu.Unlock()
	if do != nil {
		do(s.session)
	}
	s.err = s.session.Wait()
	code, told := kubelet.ExitCode(s.err)
	return told && code != 0 // a connection that is cut looks like success
}

// wait waits until all sessions have ended, as they do when exectape is killed:
// but for those that were just beginning. client-go waits half a minute for the
// reply to a stream that it opened, whatever has become of the connection.
func (w *witnesses) wait() {
	ended := make(chan struct{})
	go func() { w.going.Wait(); close(ended) }()
	select {
	case <-ended:
		return
	case <-time.After(killedWithin):
	}
	w.mu.Lock()
	for _, s := range w.sessions {
		if len(s.session.Stdout.Bytes())+len(s.session.Stderr.Bytes()) == 0 {
			s.cancel()
		}
	}
	w.mu.Unlock()
	<-ended
}

// muchOutput is text and what is none, as fast as it goes.
func muchOutput(t *testing.T) traffic {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bulk")
	if err := os.WriteFile(file, bulk(), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, w *witnesses) {
		script := fmt.Sprintf("exec tail -c %d %s", 1+rand.N(len(bulk())), file)
		w.going.Go(func() { w.open(ctx, kubelet.Process{Command: shell(script)}, nil) })
	}
}

// aTerminal is somebody who types and changes the window's size. Something is
// on the screen all the time, so that the process ends with its client.
func aTerminal(ctx context.Context, w *witnesses) {
	process := kubelet.Process{
		Command: shell(`while sleep 0.01; do printf 'é'; done & while read -r line; do echo "you said $line"; done`),
		Stdin:   true,
		TTY:     true,
	}
	w.going.Go(func() {
		w.open(ctx, process, func(s *kubelet.Session) {
			for n := uint16(1); s.Send(fmt.Appendf(nil, "naïve, %d times\n", n)) == nil; n++ {
				if _, err := s.Until(ctx, fmt.Sprintf("you said naïve, %d times\r\n", n)); err != nil {
					return
				}
				if s.Resize(ctx, 80+n%100, 24+n%50) != nil {
					return
				}
			}
		})
	})
}

// manySessions are short, and each is followed by another.
func manySessions(ctx context.Context, w *witnesses) {
	process := kubelet.Process{Command: shell(`for i in 1 2 3 4 5; do echo "$$: out $i"; echo "$$: err $i" >&2; sleep 0.01; done; exit 3`)}
	for range 10 {
		w.going.Go(func() {
			for w.open(ctx, process, nil) {
			}
		})
	}
}

// A keptCast is a finished one and what is said of it.
type keptCast struct {
	session.Summary
	file           string
	stdout, stderr []byte
}

// recovered waits until every cast is finished, holds each to what its summary
// says, and takes them all away.
func (e *exectape) recovered() (casts []*keptCast) {
	e.t.Helper()
	eventually(e.t, "every cast is finished", func(context.Context) bool {
		return len(e.files(".cast.part")) == 0 && len(e.files(".cast")) == len(e.files(".json"))
	})
	for _, file := range e.files(".cast") {
		casts = append(casts, e.keptCast(file))
	}
	if len(casts) > 0 {
		e.run("verify", e.casts)
	}
	for _, file := range e.files("") {
		if err := os.Remove(file); err != nil {
			e.t.Fatal(err)
		}
	}
	return casts
}

// keptCast reads a cast to its last line.
func (e *exectape) keptCast(file string) *keptCast {
	e.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		e.t.Fatal(err)
	}
	r := e.recording(file)
	tape, err := readTape(text)
	if err != nil || !bytes.HasSuffix(text, []byte("\n")) {
		e.t.Fatalf("%s: %v; it ends in %q", file, err, text[max(0, len(text)-100):])
	}
	c := &keptCast{Summary: r.Summary, file: file}
	c.stdout, c.stderr = tape.output()
	if sum := fmt.Sprintf("%x", sha256.Sum256(text)); c.SHA256 != sum {
		e.t.Errorf("%s: the summary's sum is %s, want %s", file, c.SHA256, sum)
	}
	for _, stream := range []struct {
		name  string
		count *session.Count
		bytes []byte
	}{{"stdout", c.Streams.Stdout, c.stdout}, {"stderr", c.Streams.Stderr, c.stderr}} {
		if got := bytesOf(stream.count); got != len(stream.bytes) {
			e.t.Errorf("%s: the summary counts %d bytes of %s, want %d", file, got, stream.name, len(stream.bytes))
		}
	}
	if c.EndReason != session.EndInterrupted && (c.EndReason != session.EndCompleted || c.ExitCode == nil) {
		e.t.Errorf("%s: ended as %q with code %v, want completed or interrupted", file, c.EndReason, c.ExitCode)
	}
	return c
}

func bytesOf(c *session.Count) int {
	if c == nil {
		return 0
	}
	return int(c.Bytes)
}

// in fails the test unless one of casts has all that the client has received:
// what was shown, and the exit code.
func (w *witness) in(t *testing.T, casts []*keptCast) {
	t.Helper()
	got := w.answer()
	if len(got.stdout)+len(got.stderr) == 0 {
		return // there may be none
	}
	code, told := kubelet.ExitCode(got.err)
	for _, c := range casts {
		if bytes.HasPrefix(c.stdout, got.stdout) && bytes.HasPrefix(c.stderr, got.stderr) {
			if told && code != 0 && (c.ExitCode == nil || *c.ExitCode != code) {
				t.Errorf("%s: the exit code is %v, want %d, which the client was told", c.file, c.ExitCode, code)
			}
			return
		}
	}
	t.Errorf("no cast of %d has the %d bytes of stdout and %d of stderr that the client of %q received: %.200q, %.200q",
		len(casts), len(got.stdout), len(got.stderr), w.process.Command, got.stdout, got.stderr)
}
