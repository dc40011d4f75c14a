package targets

import (
	"net/netip"

	"exectape/sockdiag"
)

// A listener is a TCP socket of our network namespace that listens.
type listener struct {
	addr  netip.AddrPort // where it is bound to; of IPv4 that is mapped into IPv6, the IPv4
	uid   uint32         // whose it is
	inode uint32         // by which it is found among a process's files
	only6 bool           // it takes nothing of IPv4: IPV6_V6ONLY, ipv6(7)
}

// reached returns the addresses at which the kubelet reaches l. It dials what
// the runtime told it, which is what the runtime's listener says of itself
// (k8s.io/cri-streaming, Server.Start). If that is a wildcard the kernel
// connects to the loopback of its family, as BSD's did; and a wildcard of IPv6
// is IPv4's as well, unless it was told not to be.
func (l listener) reached() []netip.AddrPort {
	port := l.addr.Port()
	loopback4 := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	loopback6 := netip.AddrPortFrom(netip.IPv6Loopback(), port)
	switch {
	case !l.addr.Addr().IsUnspecified():
		return []netip.AddrPort{l.addr}
	case l.addr.Addr().Is4():
		return []netip.AddrPort{loopback4}
	case l.only6:
		return []netip.AddrPort{loopback6}
	default:
		return []netip.AddrPort{loopback4, loopback6}
	}
}

// takes reports whether a connection to addr may come to l.
func (l listener) takes(addr netip.AddrPort) bool {
	at, to := l.addr.Addr(), addr.Addr()
	switch {
	case l.addr.Port() != addr.Port():
		return false
	case !at.IsUnspecified():
		return at == to
	default:
		return at.Is4() == to.Is4() || at.Is6() && !l.only6
	}
}

// listening returns what listens.
func listening() (all []listener, err error) {
	sockets, err := sockdiag.Listening()
	for _, s := range sockets {
		all = append(all, listener{s.Local, s.UID, s.Inode, s.Only6})
	}
	return all, err
}
