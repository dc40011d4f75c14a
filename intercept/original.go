package intercept

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// originalDestination asks the kernel where the client of a redirected
// connection meant to connect. For a connection that was not redirected it is
// the listener's own address.
//
// SyscallConn is used because (*net.TCPConn).File would make the socket
// blocking.
func originalDestination(conn *net.TCPConn) (netip.AddrPort, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination: %w", err)
	}
	ip4 := local(conn).Addr().Is4()
	var to netip.AddrPort
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		if ip4 {
			to, sockErr = originalDestination4(int(fd))
		} else {
			to, sockErr = originalDestination6(int(fd))
		}
	})
	if err == nil {
		err = sockErr
	}
	if errors.Is(err, syscall.ENOENT) {
		return local(conn), nil // no rule makes the kernel track connections, so none redirects them
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("original destination of %v: %w", conn.RemoteAddr(), err)
	}
	return to, nil
}

// originalDestination4 reads a sockaddr_in. x/sys has no getter of that type;
// an IPv6Mreq has room for its 16 bytes.
func originalDestination4(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6Mreq(fd, unix.SOL_IP, unix.SO_ORIGINAL_DST)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockopt(SOL_IP, SO_ORIGINAL_DST): %w", err)
	}
	sa := m.Multiaddr[:]
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(sa[4:8])), binary.BigEndian.Uint16(sa[2:4])), nil
}

// originalDestination6 reads a sockaddr_in6, with which an IPv6MTUInfo begins.
// IP6T_SO_ORIGINAL_DST has the number of SO_ORIGINAL_DST.
func originalDestination6(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6MTUInfo(fd, unix.SOL_IPV6, unix.SO_ORIGINAL_DST)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockopt(SOL_IPV6, SO_ORIGINAL_DST): %w", err)
	}
	port := (*[2]byte)(unsafe.Pointer(&m.Addr.Port)) // in network order
	return netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), binary.BigEndian.Uint16(port[:])), nil
}

// local is the address that conn was accepted on or dialled from.
func local(conn *net.TCPConn) netip.AddrPort {
	return unmapped(conn.LocalAddr().(*net.TCPAddr).AddrPort())
}

// unmapped makes an IPv4 address of an IPv4-mapped one.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
