package e2e_test

import (
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/e2e/local"
)

// nobody is a user who owns nothing.
const nobody = 65534

func TestSOCKS5NeedsNoPrivileges(t *testing.T) {
	runtime := startLocal(t)
	user := os.Geteuid()
	if user == 0 {
		user = nobody
	}
	directory := directoryOf(t, user)
	e := newExectape(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN=127.0.0.1:0")
	e.keepIn(filepath.Join(directory, "casts"))
	if user != os.Geteuid() {
		e.program.User = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	}
	e.start()
	k := kubelet.Kubelet{Proxy: &url.URL{Scheme: "socks5", Host: e.logs("listening").Text("addr")}}

	t.Run("a command", func(t *testing.T) {
		got := run(t, k, runtime, kubelet.Process{Command: shell("echo out; echo err >&2; exit 3")}).leaves()
		wantSame(t, "the user's stdout", got.stdout, []byte("out\n"))
		wantSame(t, "the user's stderr", got.stderr, []byte("err\n"))
		e.on(t).recorded().wantAnswer(got)
	})
	t.Run("a terminal", func(t *testing.T) {
		// The size comes beside what is typed, and not in order with it.
		u := run(t, k, runtime, kubelet.Process{Command: shell(`read line; until [ "$(stty size)" = "43 132" ]; do :; done; exit 4`), Stdin: true, TTY: true})
		u.resizes(132, 43)
		u.types("go\n")
		got := u.leaves()
		r := e.on(t).recorded()
		r.wantAnswer(got)
		if size := r.tape().size; size != "132x43" {
			t.Errorf("the cast's size is %s, want 132x43", size)
		}
	})
}

// directoryOf makes a directory that a user owns, for the test's time. Those of
// t.TempDir are inside one that is closed to others.
func directoryOf(t *testing.T, user int) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "exectape-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(directory); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chown(directory, user, user); err != nil {
		t.Fatal(err)
	}
	return directory
}

// startLocal starts a runtime that needs no privileges, for the test's time.
func startLocal(t *testing.T) *local.Server {
	t.Helper()
	s, err := local.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
