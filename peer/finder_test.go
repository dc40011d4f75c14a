package peer_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"exectape/peer"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// dialVariable has this program connect to an address and wait for its stdin's
// end.
const dialVariable = "EXECTAPE_TEST_DIAL"

func TestMain(m *testing.M) {
	if address := os.Getenv(dialVariable); address != "" {
		if _, err := net.Dial("tcp", address); err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	goleak.VerifyTestMain(m)
}

// running returns a Finder that runs until the test ends.
func running(t testing.TB, proc string) *peer.Finder {
	t.Helper()
	f := peer.New(proc)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	return f
}

// patience is how long a test waits for what must come.
const patience = time.Minute

func answer(t testing.TB, asked <-chan session.Peer) session.Peer {
	t.Helper()
	if asked == nil {
		t.Fatal("there is no such socket")
	}
	select {
	case p := <-asked:
		return p
	case <-time.After(patience):
		t.Fatal("nobody answers")
	}
	return session.Peer{}
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// accepted returns the addresses of the next connection, as its client has them.
func accepted(t testing.TB, ln net.Listener) (local, remote netip.AddrPort) {
	t.Helper()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return addrOf(conn.RemoteAddr()), addrOf(conn.LocalAddr())
}

func addrOf(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// called starts a process of that name that connects to ln.
func called(t testing.TB, name string, ln net.Listener) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path)
	c.Env = append(os.Environ(), dialVariable+"="+ln.Addr().String())
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = c.Wait() })
	return c
}

func TestWhoOpenedAConnectionIsFound(t *testing.T) {
	f := running(t, "/proc")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubelet", "crictl", "kubelet"} {
		ln := listen(t)
		c := called(t, name, ln)
		local, remote := accepted(t, ln)
		want := session.Peer{UID: uint32(os.Geteuid()), PID: c.Process.Pid, Name: name, Executable: self}
		for _, times := range []string{"the first time", "when it is known"} {
			if diff := cmp.Diff(want, answer(t, f.Find(local, remote))); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, times, diff)
			}
		}
	}
}

func TestAProcessThatCannotBeSeenIsKnownByItsUser(t *testing.T) {
	f := running(t, t.TempDir())
	ln := listen(t)
	called(t, "elsewhere", ln)
	local, remote := accepted(t, ln)
	if got, want := answer(t, f.Find(local, remote)), (session.Peer{UID: uint32(os.Geteuid())}); got != want {
		t.Errorf("it is %+v, want %+v", got, want)
	}
}

func TestNobodyIsWaitedForWhoHasGone(t *testing.T) {
	f := running(t, "/proc")
	ln := listen(t)
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	local, remote := accepted(t, ln)
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
	if asked := f.Find(local, remote); asked != nil {
		t.Errorf("it is %+v", answer(t, asked))
	}
}

func TestNoProcessIsFoundForAnothersConnection(t *testing.T) {
	f := running(t, "/proc")
	ln := listen(t)
	one, other := called(t, "one", ln), called(t, "other", ln)
	found := make(map[int]bool)
	for range 2 {
		local, remote := accepted(t, ln)
		found[answer(t, f.Find(local, remote)).PID] = true
	}
	if !found[one.Process.Pid] || !found[other.Process.Pid] {
		t.Errorf("found are %v, want %d and %d", found, one.Process.Pid, other.Process.Pid)
	}
}

func TestWhateverAProcessIsCalledItsNameIsText(t *testing.T) {
	f := running(t, "/proc")
	ln := listen(t)
	called(t, "\x1b[2J\xff\"{", ln)
	local, remote := accepted(t, ln)
	if got, want := answer(t, f.Find(local, remote)).Name, "\x1b[2J\"{"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
}

// While nobody looks, as many questions wait as may; the next is answered by what
// the kernel says.
func TestQuestionsThatFindNobodyLookingAreBounded(t *testing.T) {
	f := peer.New("/proc")
	ln := listen(t)
	called(t, "busy", ln)
	local, remote := accepted(t, ln)
	for range 1024 {
		if asked := f.Find(local, remote); len(asked) != 0 {
			t.Fatal("it is answered though nobody looks")
		}
	}
	if got := answer(t, f.Find(local, remote)); got.PID != 0 {
		t.Errorf("it is %+v", got)
	}
}

// What a session of a kubelet costs, in a goroutine that nobody waits for.
func BenchmarkFindingWhoIsKnown(b *testing.B) {
	f := running(b, "/proc")
	ln := listen(b)
	for range 300 { // in our own hands, as in a kubelet's
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		accepted(b, ln)
	}
	for b.Loop() {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		other, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		answer(b, f.Find(addrOf(conn.LocalAddr()), addrOf(conn.RemoteAddr())))
		_, _ = conn.Close(), other.Close()
	}
}
