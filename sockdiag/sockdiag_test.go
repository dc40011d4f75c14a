package sockdiag

import (
	"errors"
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
				cannotListen(t, err)
			}
			defer ln.Close()
			client, err := net.Dial("tcp", ln.Addr().String()) // a connection is no listener
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			want := Socket{
				Local: netip.AddrPortFrom(netip.MustParseAddr(test.bound), uint16(ln.Addr().(*net.TCPAddr).Port)),
				UID:   uint32(os.Geteuid()), Inode: inode(t, ln.(*net.TCPListener)), Only6: test.only6,
			}
			all, err := Listening()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(all, want) {
				t.Errorf("%v is not among %v", want, all)
			}
			for _, s := range all {
				if s.Local == addrOf(client.LocalAddr()) {
					t.Errorf("a connection is among them: %v", s)
				}
			}
		})
	}
}

func TestTheKernelTellsWhoseAConnectionsEndsAre(t *testing.T) {
	for _, test := range []struct{ name, network, listen, dial string }{
		{"IPv4", "tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "tcp6", "[::1]:0", "::1"},
		{"IPv4 that is mapped into IPv6", "tcp", ":0", "127.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, end := range connected(t, test.network, test.listen, test.dial) {
				local, remote := addrOf(end.LocalAddr()), addrOf(end.RemoteAddr())
				got, err := Connected(local, remote)
				want := Socket{Local: local, Remote: remote, UID: uint32(os.Geteuid()), Inode: inode(t, end)}
				if err != nil || got != want {
					t.Errorf("%v from %v is %v, %v; want %v", local, remote, got, err, want)
				}
			}
		})
	}
}

// cannotListen skips a test where there is no IPv6, and fails it anywhere else.
func cannotListen(t *testing.T, why error) {
	t.Helper()
	if addresses, err := os.ReadFile("/proc/net/if_inet6"); err == nil && len(addresses) > 0 {
		t.Fatal(why)
	}
	t.Skip(why)
}

// connected returns both ends of a connection.
func connected(t *testing.T, network, listen, dial string) [2]*net.TCPConn {
	t.Helper()
	ln, err := net.Listen(network, listen)
	if err != nil {
		cannotListen(t, err)
	}
	defer ln.Close()
	to := netip.AddrPortFrom(netip.MustParseAddr(dial), addrOf(ln.Addr()).Port())
	near, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close() })
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return [2]*net.TCPConn{near.(*net.TCPConn), far.(*net.TCPConn)}
}

func TestWhereNobodyIsConnectedThereIsNoSocket(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	// The kernel would answer with the listener.
	got, err := Connected(addrOf(ln.Addr()), netip.MustParseAddrPort("127.0.0.1:9"))
	if !errors.Is(err, ErrNone) {
		t.Errorf("there is %v, %v", got, err)
	}
	for _, pair := range [][2]string{{"127.0.0.1:9", "127.0.0.1:9"}, {"[::1]:9", "[::1]:9"}} {
		got, err := Connected(netip.MustParseAddrPort(pair[0]), netip.MustParseAddrPort(pair[1]))
		if !errors.Is(err, ErrNone) {
			t.Errorf("from %s to %s there is %v, %v", pair[0], pair[1], got, err)
		}
	}
}

func addrOf(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

func inode(t *testing.T, conn syscall.Conn) uint32 {
	t.Helper()
	raw, err := conn.SyscallConn()
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
	a := answer{family: unix.AF_INET6, state: unix.BPF_TCP_LISTEN, id: socketID{sourcePort: [2]byte{0x87, 0x07}, source: netip.MustParseAddr("::ffff:127.0.0.1").As16()}}
	if got, want := a.socket().Local, netip.MustParseAddrPort("127.0.0.1:34567"); got != want {
		t.Errorf("address = %v, want %v", got, want)
	}
}

func TestWhatTheKernelCannotAnswerIsAnError(t *testing.T) {
	refused := append([]byte{20, 0, 0, 0, unix.NLMSG_ERROR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0xfe, 0xff, 0xff, 0xff)
	if _, _, err := parseAnswers(refused); err != syscall.ENOENT {
		t.Errorf("error = %v, want ENOENT", err)
	}
	short := append([]byte{20, 0, 0, 0, byFamily, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 2, 10, 0, 0)
	if all, _, err := parseAnswers(short); err == nil {
		t.Errorf("a message that is cut off is read as %v", all)
	}
	if all, _, err := parseAnswers([]byte{200, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err == nil {
		t.Errorf("a message that lacks its end is read as %v", all)
	}
}

// What each session costs.
func BenchmarkAskingForOneConnection(b *testing.B) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	local, remote := addrOf(conn.LocalAddr()), addrOf(conn.RemoteAddr())
	for b.Loop() {
		if _, err := Connected(local, remote); err != nil {
			b.Fatal(err)
		}
	}
}
