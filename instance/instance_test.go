package instance_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"exectape/instance"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// port returns one that no test beside this one has. It is only a name here.
func port(t *testing.T) uint16 {
	t.Helper()
	return uint16(rand.N(1 << 16))
}

func take(t *testing.T, port uint16) *instance.Claim {
	t.Helper()
	c, err := instance.Take(port)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantAt(t *testing.T, port uint16, want instance.State) {
	t.Helper()
	if got, err := instance.At(port); err != nil || got != want {
		t.Errorf("at port %d: %v, %v; want %v", port, got, err, want)
	}
}

func TestAnInstanceSaysThatItIsThereAndThatItLeaves(t *testing.T) {
	port := port(t)
	wantAt(t, port, instance.Nobody)
	c := take(t, port)
	wantAt(t, port, instance.Staying)
	wantAt(t, port+1, instance.Nobody)
	if _, err := instance.Take(port); !errors.Is(err, instance.ErrTaken) {
		t.Errorf("a second one takes the port: %v", err)
	}
	c.Leave()
	wantAt(t, port, instance.Leaving)
	c.Close()
	wantAt(t, port, instance.Nobody)
	take(t, port).Close()
}

func TestOneThatSaysNothingIsThereAllTheSame(t *testing.T) {
	port := port(t)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("@exectape/%d", port), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	wantAt(t, port, instance.Silent)
	if _, err := instance.Take(port); !errors.Is(err, instance.ErrTaken) {
		t.Errorf("its port is taken: %v", err)
	}
}

// hold binds a port's name without listening on it, until the test ends.
func hold(t *testing.T, port uint16) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@exectape/%d", port)}); err != nil {
		t.Fatal(err)
	}
}

func TestANameThatSomebodyHoldsAndDoesNotListenOnKeepsNobodyFromStarting(t *testing.T) {
	port := port(t)
	hold(t, port)
	if _, err := instance.Take(port); err == nil || errors.Is(err, instance.ErrTaken) || !strings.Contains(err.Error(), "does not listen") {
		t.Errorf("Take: %v", err)
	}
}

func TestAnExectapeWhoseNameIsHeldIsThereAllTheSame(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := uint16(ln.Addr().(*net.TCPAddr).Port)
	hold(t, port)
	wantAt(t, port, instance.Silent)
}

func TestAnInstanceIsHeardOfWhileStrangersQueueBeforeIt(t *testing.T) {
	port := port(t)
	var queue net.ListenConfig
	ln, err := queue.Listen(t.Context(), "unix", fmt.Sprintf("@exectape/%d", port))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ln.(*net.UnixListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	first, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	full := make(chan struct{})
	go func() {
		defer ln.Close()
		<-full
		for range 2 { // the stranger, and who asks
			if conn, err := ln.Accept(); err == nil {
				_, _ = conn.Write([]byte{'L'})
				_ = conn.Close()
			}
		}
	}()
	if _, err := net.Dial("unix", ln.Addr().String()); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("the queue is not full: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { close(full) })
	wantAt(t, port, instance.Leaving)
}

// nobody is a user who owns nothing.
const nobody = 65534

// A squatter is this test again, as a user who owns nothing.
func TestASquatterIsNotBelieved(t *testing.T) {
	if name := os.Getenv(squatted); name != "" {
		squat(name)
	}
	if os.Geteuid() != 0 {
		if os.Getenv("EXECTAPE_TEST_ROOT") == "1" {
			t.Fatal("EXECTAPE_TEST_ROOT=1, but this test lacks root, to be another user")
		}
		t.Skip("lacking: root, to be another user")
	}
	port := port(t)
	name := fmt.Sprintf("@exectape/%d", port)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestASquatterIsNotBelieved$")
	cmd.Env = append(os.Environ(), squatted+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the squatter: %v", err)
	}
	var squatter *instance.Squatter
	if _, err := instance.Take(port); !errors.As(err, &squatter) {
		t.Errorf("Take: %v, want a squatter", err)
	} else if squatter.UID != nobody || squatter.PID != cmd.Process.Pid || !strings.Contains(err.Error(), name) {
		t.Errorf("Take: %v", err)
	}
	if state, err := instance.At(port); !errors.As(err, &squatter) || state != instance.Nobody {
		t.Errorf("At: %v, %v; want a squatter", state, err)
	}
	_ = stdin.Close()
	_ = cmd.Wait()
	wantAt(t, port, instance.Nobody)
}

// squatted has the name that a squatter is to hold.
const squatted = "EXECTAPE_TEST_SQUATTED"

// squat holds a name, says so, and ends with its stdin.
func squat(name string) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		os.Exit(1)
	}
	defer ln.Close()
	_, _ = os.Stdout.WriteString("x")
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}
