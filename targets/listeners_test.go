package targets

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheKernelTellsWhatListens(t *testing.T) {
	for _, test := range []struct {
		network, address, bound string
		only6                   bool
	}{
		{"tcp4", "127.0.0.1:0", "127.0.0.1", false},
		{"tcp4", "127.0.0.2:0", "127.0.0.2", false},
		{"tcp4", "0.0.0.0:0", "0.0.0.0", false},
		{"tcp6", "[::1]:0", "::1", true}, // as Go makes them
		{"tcp6", "[::]:0", "::", true},
		{"tcp", "[::]:0", "::", false},
		{"tcp", ":0", "::", false},
	} {
		t.Run(test.network+" "+test.address, func(t *testing.T) {
			ln, err := net.Listen(test.network, test.address)
			if err != nil {
				t.Skip(err) // there is no IPv6
			}
			defer ln.Close()
			client, err := net.Dial("tcp", ln.Addr().String()) // a connection is no listener
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			want := listener{
				netip.AddrPortFrom(netip.MustParseAddr(test.bound), uint16(ln.Addr().(*net.TCPAddr).Port)),
				uint32(os.Geteuid()), inode(t, ln.(*net.TCPListener)), test.only6,
			}
			all, err := listening()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(all, want) {
				t.Errorf("%v is not among %v", want, all)
			}
			for _, l := range all {
				if l.addr == netip.MustParseAddrPort(client.LocalAddr().String()) {
					t.Errorf("a connection is among them: %v", l)
				}
			}
		})
	}
}

func inode(t *testing.T, ln *net.TCPListener) uint32 {
	t.Helper()
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if controlErr := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &stat) }); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	return uint32(stat.Ino)
}

func TestIPv4ThatIsMappedIntoIPv6IsIPv4(t *testing.T) {
	a := answer{family: unix.AF_INET6, id: socketID{sourcePort: [2]byte{0x87, 0x07}, source: netip.MustParseAddr("::ffff:127.0.0.1").As16()}}
	if got, want := a.listener().addr, netip.MustParseAddrPort("127.0.0.1:34567"); got != want {
		t.Errorf("address = %v, want %v", got, want)
	}
}

func TestWhatTheKernelCannotAnswerIsAnError(t *testing.T) {
	refused := append([]byte{20, 0, 0, 0, unix.NLMSG_ERROR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0xfe, 0xff, 0xff, 0xff)
	if _, _, err := parseAnswers(refused); err != syscall.ENOENT {
		t.Errorf("error = %v, want ENOENT", err)
	}
	short := append([]byte{20, 0, 0, 0, sockDiagByFamily, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 2, 10, 0, 0)
	if all, _, err := parseAnswers(short); err == nil {
		t.Errorf("a message that is cut off is read as %v", all)
	}
	if all, _, err := parseAnswers([]byte{200, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err == nil {
		t.Errorf("a message that lacks its end is read as %v", all)
	}
}

// The kubelet dials what the runtime's listener says of itself, and the kernel
// makes a loopback address of a wildcard.
func TestAWildcardIsReachedByTheLoopbacks(t *testing.T) {
	for _, test := range []struct {
		bound string
		only6 bool
		want  []netip.AddrPort
	}{
		{"127.0.0.1:34567", false, addrs("127.0.0.1:34567")},
		{"10.1.2.3:34567", false, addrs("10.1.2.3:34567")},
		{"[fd00::7]:34567", true, addrs("[fd00::7]:34567")},
		{"0.0.0.0:34567", false, addrs("127.0.0.1:34567")},
		{"[::]:34567", false, addrs("127.0.0.1:34567", "[::1]:34567")},
		{"[::]:34567", true, addrs("[::1]:34567")},
		{"[::1]:34567", true, addrs("[::1]:34567")},
		{"192.168.0.1:65535", false, addrs("192.168.0.1:65535")},
	} {
		l := listener{addr: netip.MustParseAddrPort(test.bound), only6: test.only6}
		if got := l.reached(); !slices.Equal(got, test.want) {
			t.Errorf("%v is reached by %v, want %v", l, got, test.want)
		}
		for _, addr := range test.want {
			if !l.takes(addr) {
				t.Errorf("%v does not take what comes to %v", l, addr)
			}
		}
	}
}
