package intercept

import (
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Our own connections begin where no kubelet's do. Connection tracking remembers
// a connection after its end, for ten seconds even one that the target has
// reset, and what comes from the same address and port meanwhile goes the same
// way: past every rule, if ours had been the one before
// (nf_conntrack_proto_tcp.c, where a SYN reopens a connection or does not).

// apart is the address where those to IPv4's loopback begin.
var apart = [4]byte{127, 0, 0, 2}

// Marking returns a net.Dialer's Control function that sets SO_MARK, by which
// our rules know our own dials and let them through, and has a dial to a loopback
// begin where no kubelet's does. It takes CAP_NET_ADMIN.
func Marking(mark uint32) func(network, address string, c syscall.RawConn) error {
	return func(_, address string, c syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		var sockErr error
		err = c.Control(func(fd uintptr) {
			sockErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
			if sockErr == nil && to.Addr().IsLoopback() {
				sockErr = beginApart(int(fd), to.Addr())
			}
		})
		if err == nil {
			err = sockErr
		}
		if err != nil {
			return fmt.Errorf("mark the connection to %s with %#x (it takes CAP_NET_ADMIN): %w", address, mark, err)
		}
		return nil
	}
}

// beginApart binds a socket that is to be connected to a loopback.
func beginApart(fd int, to netip.Addr) error {
	if to.Is4() {
		return beginAtAddress(fd)
	}
	return beginAtPort(fd)
}

// beginAtAddress leaves the choice of a port to connect(2), which can take one
// that leads elsewhere, too.
func beginAtAddress(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: apart})
}

// beginAtPort takes a port of the half that connect(2) leaves to bind(2): of
// net.ipv4.ip_local_port_range one chooses the even ones, the other the odd ones,
// as long as there are any (inet_csk_find_open_port in inet_connection_sock.c).
// IPv6 has no second loopback address to begin at.
func beginAtPort(fd int) error {
	return unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()})
}
