package e2e_test

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestAPortThatAStrangerHasIsAnError(t *testing.T) {
	needsNode(t)
	for _, at := range []netip.AddrPort{listener, listener6} {
		t.Run(at.String(), func(t *testing.T) {
			stranger, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
			if err != nil {
				t.Fatal(err)
			}
			defer stranger.Close()
			e := newExectape(t)
			_, err = e.program.Start(patiently(t))
			if err == nil || !strings.Contains(err.Error(), "by something that is no exectape; end that, or set EXECTAPE_LISTEN to other ports") {
				t.Errorf("exectape starts: %v", err)
			}
			_ = stranger.Close()
			e.start()
			wantRecorded(e, hello(t, direct))
		})
	}
}

// squat is for perl, which Debian always has.
const squat = `use Socket;
for my $port (1015, 1016) {
	socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die;
	bind($s, pack("S", AF_UNIX) . "\0exectape/$port") or die;
	listen($s, 100) or die;
	push @all, $s;
}
$| = 1; print "x"; <STDIN>`

func TestASquatterOfTheNamesIsNamedAndChangesNothing(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			pid := squatNames(t)
			e := start(t, u.env...)
			complaint := e.logs("other exectapes will not be told of this one").Text("error")
			if want := fmt.Sprintf("held by user %d (process %d)", nobody, pid); !strings.Contains(complaint, want) {
				t.Errorf("the complaint is %q, want one with %q", complaint, want)
			}
			wantRecorded(e, hello(t, direct))
			elder := e.follow()
			wantRecorded(e, hello(t, direct))
			if _, err := elder.Log.Next(patiently(t), "replaced by a younger exectape: what is going on here goes on"); err != nil {
				t.Fatal(err)
			}
			elder.Terminate()
			ends(t, elder)
			wantRecorded(e, hello(t, direct))
		})
	}
}

// squatNames has somebody hold the names of all ports, for the test's time.
func squatNames(t *testing.T) (pid int) {
	t.Helper()
	squatter := exec.CommandContext(t.Context(), "perl", "-e", squat)
	squatter.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := squatter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := squatter.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := squatter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = squatter.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return squatter.Process.Pid
}
