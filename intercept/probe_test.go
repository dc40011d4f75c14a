package intercept_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"exectape/intercept"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"
)

func TestAProbeSucceedsWhereASessionWouldBeServed(t *testing.T) {
	server, logs, stop := serveRedirects(t)
	if err := server.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := logs.FilterMessage("connection refused").Len(); n > 0 {
		t.Errorf("a probe was logged as %d refusals", n)
	}
	stop()
	if err := server.Probe(t.Context()); err == nil {
		t.Error("a server that has shut down answers a probe")
	}
}

func TestAProbeFailsWhereNothingAccepts(t *testing.T) {
	if err := new(intercept.Server).Probe(t.Context()); err == nil {
		t.Error("no listener was opened, and the probe succeeds")
	}
	server, _, _ := serveRedirects(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Probe(ctx); err == nil {
		t.Error("the probe's time was over, and it succeeds")
	}
}

// So may a probe be, which the kernel takes for a session that has ended.
func TestAProbeThatIsResetIsTriedAgain(t *testing.T) {
	sharing := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var sockErr error
		err := c.Control(func(fd uintptr) { sockErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, sockErr)
	}}
	listen := func(at string) *net.TCPListener {
		ln, err := sharing.Listen(t.Context(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		return ln.(*net.TCPListener)
	}
	server, _, _ := serveRedirectsAt(t, listen("127.0.0.1:0"))
	resetter := listen(server.listener.Addr().String()) // the kernel gives it one in two
	var resetting sync.WaitGroup
	resetting.Go(func() {
		for {
			conn, err := resetter.AcceptTCP()
			if err != nil {
				return
			}
			_ = conn.SetLinger(0)
			_ = conn.Close()
		}
	})
	defer resetting.Wait()
	defer resetter.Close()
	for range 8 {
		if err := server.Probe(within(t, patience)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNobodyElsePassesForAProbe(t *testing.T) {
	server, logs, _ := serveRedirects(t)
	probing, cancel := context.WithCancel(t.Context())
	defer cancel()
	probes := make(chan struct{})
	go func() {
		for probing.Err() == nil {
			_ = server.Probe(t.Context()) // whole: one that is cut off is refused as strangers are
		}
		close(probes)
	}()
	for range 50 {
		stranger, err := net.Dial("tcp", server.listener.Addr().String())
		if err != nil {
			continue // refused already
		}
		_, _ = stranger.Write([]byte("sixteen bytes..."))
		if _, err := stranger.Read(make([]byte, 1)); err == nil {
			t.Error("a stranger is answered")
		}
		_ = stranger.Close()
	}
	cancel()
	<-probes
	if n := logs.FilterMessage("connection refused").Len(); n != 50 {
		t.Errorf("of 50 strangers %d were refused", n)
	}
}

// aloneVariable is set where this program was started again for one test.
const aloneVariable = "EXECTAPE_TEST_ALONE"

// alone runs a test in a process of its own, where no other has left a
// descriptor that is closed in its own time. There it returns true.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneVariable) != "" {
		return true
	}
	again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), aloneVariable+"=1")
	if said, err := again.CombinedOutput(); err != nil || !strings.Contains(string(said), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, said)
	}
	return false
}

func TestAProbeFailsWhereASessionWouldFindNoDescriptors(t *testing.T) {
	if !alone(t) {
		return
	}
	server, _, _ := serveRedirects(t)
	var limit, few unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few = unix.Rlimit{Cur: 128, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }()
	var spare []*os.File
	defer func() {
		for _, f := range spare {
			_ = f.Close()
		}
	}()
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		spare = append(spare, f)
	}
	for left := range 4 { // a probe itself takes two
		if err := server.Probe(within(t, time.Second)); err == nil {
			t.Errorf("with %d descriptors the probe succeeds", left)
		}
		_ = spare[left].Close()
	}
	// The last of those four has descriptors for a moment longer.
	for patiently := within(t, patience); ; {
		err := server.Probe(patiently)
		if err == nil {
			break
		}
		if patiently.Err() != nil {
			t.Fatalf("with descriptors again: %v", err)
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// A redirecting server is one whose listener rules could lead to.
type redirecting struct {
	*intercept.Server
	listener *net.TCPListener
}

func serveRedirects(t *testing.T) (server redirecting, logs *observer.ObservedLogs, stop func()) {
	t.Helper()
	return serveRedirectsAt(t, listenLoopback(t))
}

func serveRedirectsAt(t *testing.T, ln *net.TCPListener) (server redirecting, logs *observer.ObservedLogs, stop func()) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	log := zap.New(core)
	server = redirecting{&intercept.Server{HeadTimeout: patience, Log: log, Noise: log}, ln}
	served := make(chan error, 1)
	go func() { served <- server.Serve(server.listener) }()
	stop = sync.OnceFunc(func() {
		server.Shutdown(context.WithoutCancel(t.Context()), "the test is over")
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	for logs.FilterMessage("listening").Len() == 0 {
		runtime.Gosched()
	}
	return server, logs, stop
}
