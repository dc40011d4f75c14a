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
	e := newExectape(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN=127.0.0.1:0")
	if os.Geteuid() == 0 {
		e.program.User = &syscall.Credential{Uid: nobody, Gid: nobody}
		// The directories of a test are root's, and closed to others.
		directory, err := os.MkdirTemp("", "exectape-nobodys-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(directory) })
		if err := os.Chown(directory, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		e.keepIn(filepath.Join(directory, "casts"))
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
		u := run(t, k, runtime, kubelet.Process{Command: shell("read line; stty size; exit 4"), Stdin: true, TTY: true})
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
