package peercred_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"exectape/peercred"
)

// callVariable has the socket that this program, started again, is to connect
// to.
const callVariable = "EXECTAPE_TEST_CALL"

func TestWhoConnectsIsKnownByUserAndProcess(t *testing.T) {
	if name := os.Getenv(callVariable); name != "" {
		conn, err := net.Dial("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until it has been looked at
		return
	}
	type user struct {
		uid      int
		believed bool
	}
	users := map[string]user{"ourselves": {os.Geteuid(), true}}
	if os.Getenv("EXECTAPE_TEST_ROOT") != "" {
		users["nobody"] = user{65534, false}
	}
	for who, want := range users {
		t.Run(who, func(t *testing.T) {
			listener := listen(t)
			caller := exec.Command("/proc/self/exe", "-test.run=^TestWhoConnectsIsKnownByUserAndProcess$")
			caller.Env = append(os.Environ(), callVariable+"="+listener.Addr().String())
			if want.uid != os.Geteuid() {
				caller.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(want.uid), Gid: uint32(want.uid)}}
			}
			if err := caller.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = caller.Wait() }()
			conn, err := listener.AcceptUnix()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }() // lets the caller end
			peer, err := peercred.Of(conn)
			if err != nil {
				t.Fatal(err)
			}
			if peer != (peercred.Peer{UID: want.uid, PID: caller.Process.Pid}) || peer.Believed() != want.believed {
				t.Errorf("%+v, believed %v; want user %d, process %d, %v", peer, peer.Believed(), want.uid, caller.Process.Pid, want.believed)
			}
		})
	}
}

func TestWhoListensIsKnown(t *testing.T) {
	conn, err := net.Dial("unix", listen(t).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	peer, err := peercred.Of(conn.(*net.UnixConn))
	if err != nil {
		t.Fatal(err)
	}
	if us := (peercred.Peer{UID: os.Geteuid(), PID: os.Getpid()}); peer != us {
		t.Errorf("%+v, want %+v", peer, us)
	}
}

func TestRootAndOurOwnUserAreBelieved(t *testing.T) {
	for uid, want := range map[int]bool{0: true, os.Geteuid(): true, os.Geteuid() + 1: false} {
		if got := (peercred.Peer{UID: uid}).Believed(); got != want {
			t.Errorf("user %d: believed %v, want %v", uid, got, want)
		}
	}
}

func TestAConnectionThatIsClosedIsAnError(t *testing.T) {
	conn, err := net.Dial("unix", listen(t).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if peer, err := peercred.Of(conn.(*net.UnixConn)); err == nil {
		t.Errorf("%+v, want an error", peer)
	}
}

// listen listens on an abstract name, to which every user can connect.
func listen(t *testing.T) *net.UnixListener {
	t.Helper()
	name := fmt.Sprintf("@exectape-test/%d/%s", os.Getpid(), t.Name())
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
