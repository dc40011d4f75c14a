package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"testing"

	"k8s.io/client-go/tools/remotecommand"

	"exectape/e2e/kubelet"
	"exectape/e2e/transcript"
)

// A user sits at a session.
type user struct {
	t        *testing.T
	stdout   transcript.Transcript
	stderr   transcript.Transcript
	keyboard *io.PipeWriter
	sizes    kubelet.Sizes
	left     chan error // how the session ended
	seen     int        // how much of stdout the test has waited for
}

// An answer is all that a user gets of a session.
type answer struct {
	stdout, stderr []byte
	err            error
}

// open opens the session of process at u.
func open(t *testing.T, k kubelet.Kubelet, u *url.URL, process kubelet.Process) *user {
	t.Helper()
	stdin, keyboard := io.Pipe()
	who := &user{t: t, keyboard: keyboard, sizes: make(kubelet.Sizes), left: make(chan error, 1)}
	streams := remotecommand.StreamOptions{Stdout: &who.stdout, Tty: process.TTY}
	if process.TTY {
		streams.TerminalSizeQueue = who.sizes
	} else {
		streams.Stderr = &who.stderr
	}
	if process.Stdin {
		streams.Stdin = stdin
	}
	ctx := patiently(t)
	go func() {
		err := k.Stream(ctx, u, streams)
		_ = stdin.CloseWithError(fmt.Errorf("the session has ended: %v", err))
		_ = who.stdout.Close()
		_ = who.stderr.Close()
		who.left <- err
	}()
	return who
}

// run opens the session of a process in a runtime.
func run(t *testing.T, k kubelet.Kubelet, r kubelet.Runtime, process kubelet.Process) *user {
	t.Helper()
	u, err := r.Exec(patiently(t), process)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, k, u, process)
}

// sees waits until text is on stdout, behind what was waited for before.
func (u *user) sees(text string) {
	u.t.Helper()
	err := u.stdout.Await(patiently(u.t), func(all []byte) bool {
		at := bytes.Index(all[u.seen:], []byte(text))
		if at < 0 {
			return false
		}
		u.seen += at + len(text)
		return true
	})
	if err != nil {
		u.t.Fatalf("the user never saw %q: %v; all there is: %q", text, err, u.stdout.Bytes()[u.seen:])
	}
}

// seesSoFar waits until stdout and stderr are exactly this.
func (u *user) seesSoFar(stdout, stderr string) {
	u.t.Helper()
	for _, stream := range []struct {
		name string
		text *transcript.Transcript
		want string
	}{{"stdout", &u.stdout, stdout}, {"stderr", &u.stderr, stderr}} {
		err := stream.text.Await(patiently(u.t), func(all []byte) bool { return string(all) == stream.want })
		if err != nil {
			u.t.Fatalf("the user saw %q on %s: %v; want %q", stream.text.Bytes(), stream.name, err, stream.want)
		}
	}
}

// seesBytes waits until there are at least n bytes of stdout.
func (u *user) seesBytes(n int) {
	u.t.Helper()
	if err := u.stdout.Await(patiently(u.t), func(all []byte) bool { return len(all) >= n }); err != nil {
		u.t.Fatalf("the user never saw %d bytes: %v", n, err)
	}
}

// types sends text to stdin.
func (u *user) types(text string) { u.t.Helper(); u.sends([]byte(text)) }

func (u *user) sends(data []byte) {
	u.t.Helper()
	if _, err := u.keyboard.Write(data); err != nil {
		u.t.Fatalf("the user could not type: %v; on stdout: %.1000q", err, u.stdout.Bytes())
	}
}

// endsStdin is a Ctrl-D, or the end of a pipe.
func (u *user) endsStdin() { _ = u.keyboard.Close() } // it never fails

// resizes changes the size of the user's terminal.
func (u *user) resizes(cols, rows uint16) {
	u.t.Helper()
	select {
	case u.sizes <- remotecommand.TerminalSize{Width: cols, Height: rows}:
	case <-patiently(u.t).Done():
		u.t.Fatal("the session takes no sizes")
	}
}

// leaves waits for the session's end.
func (u *user) leaves() answer {
	u.t.Helper()
	close(u.sizes)
	err := <-u.left // which its own context bounds
	return answer{u.stdout.Bytes(), u.stderr.Bytes(), err}
}

// wantSame fails the test where got differs from want.
func wantSame(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	excerpt := func(b []byte) []byte { return b[max(0, at-20):min(len(b), at+60)] }
	t.Errorf("%s: %d bytes, want %d; from byte %d on\n got %q\nwant %q", what, len(got), len(want), max(0, at-20), excerpt(got), excerpt(want))
}
