package e2e_test

import (
	"bytes"
	"net/url"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/e2e/transcript"
)

// A user sits at a session, and fails the test if it isn't as expected.
type user struct {
	t       *testing.T
	session *kubelet.Session
}

// An answer is all that a user gets of a session.
type answer struct {
	stdout, stderr []byte
	err            error
}

// open opens the session of process at u.
func open(t *testing.T, k kubelet.Kubelet, u *url.URL, process kubelet.Process) *user {
	t.Helper()
	return &user{t, k.Open(patiently(t), u, process)}
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
	if _, err := u.session.Until(patiently(u.t), text); err != nil {
		u.t.Fatal(err)
	}
}

// seesSoFar waits until stdout and stderr are exactly this.
func (u *user) seesSoFar(stdout, stderr string) {
	u.t.Helper()
	for _, stream := range []struct {
		name string
		text *transcript.Transcript
		want string
	}{{"stdout", &u.session.Stdout, stdout}, {"stderr", &u.session.Stderr, stderr}} {
		err := stream.text.Await(patiently(u.t), func(all []byte) bool { return string(all) == stream.want })
		if err != nil {
			u.t.Fatalf("the user saw %q on %s: %v; want %q", stream.text.Bytes(), stream.name, err, stream.want)
		}
	}
}

// seesBytes waits until there are at least n bytes of stdout.
func (u *user) seesBytes(n int) {
	u.t.Helper()
	err := u.session.Stdout.Await(patiently(u.t), func(all []byte) bool { return len(all) >= n })
	if err != nil {
		u.t.Fatalf("the user never saw %d bytes: %v", n, err)
	}
}

// types sends text to stdin.
func (u *user) types(text string) { u.t.Helper(); u.sends([]byte(text)) }

func (u *user) sends(data []byte) {
	u.t.Helper()
	if err := u.session.Send(data); err != nil {
		u.t.Fatalf("the user could not type: %v; on stdout: %.1000q", err, u.session.Stdout.Bytes())
	}
}

func (u *user) endsStdin() { u.session.EndStdin() }

// resizes changes the size of the user's terminal.
func (u *user) resizes(cols, rows uint16) {
	u.t.Helper()
	if err := u.session.Resize(patiently(u.t), cols, rows); err != nil {
		u.t.Fatal(err)
	}
}

// leaves waits for the session's end.
func (u *user) leaves() answer {
	err := u.session.Wait()
	return answer{u.session.Stdout.Bytes(), u.session.Stderr.Bytes(), err}
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
