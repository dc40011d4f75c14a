package targets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
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

// listening asks the kernel for all that listens: sock_diag(7). What
// /proc/net/tcp says is the same, but to say it the kernel goes through the
// table of all connections, which takes it 50 times as long, and more where
// there is more memory.
func listening() (all []listener, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel what listens: %w", err)
	}
	defer unix.Close(fd)
	// A kernel that does not answer at once never will.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return nil, err
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		some, err := listeningBy(fd, family)
		if family == unix.AF_INET6 && errors.Is(err, unix.ENOENT) {
			break // this kernel has no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("ask the kernel what listens (sock_diag, which takes its module tcp_diag): %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// sockDiagByFamily is SOCK_DIAG_BY_FAMILY of linux/sock_diag.h.
const sockDiagByFamily = 20

// skV6Only is INET_DIAG_SKV6ONLY of linux/inet_diag.h, which of an IPv6 listener
// is told unasked.
const skV6Only = 11

// question is a message of netlink with an inet_diag_req_v2 in it.
type question struct {
	header   unix.NlMsghdr
	family   uint8
	protocol uint8
	ext, pad uint8
	states   uint32 // a bit for each that is wanted
	id       socketID
}

// socketID is an inet_diag_sockid.
type socketID struct {
	sourcePort, destinationPort [2]byte
	source, destination         [16]byte // of which IPv4 has the first four
	device                      uint32
	cookie                      [2]uint32
}

// answer is an inet_diag_msg.
type answer struct {
	family, state, timer, retransmits uint8
	id                                socketID
	expires, received, sent           uint32
	uid, inode                        uint32
}

// listeningBy asks for the listeners of one family.
func listeningBy(fd int, family uint8) (all []listener, err error) {
	q := question{family: family, protocol: unix.IPPROTO_TCP, states: 1 << unix.BPF_TCP_LISTEN}
	q.header = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(q)), Type: sockDiagByFamily, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP}
	if _, err := unix.Write(fd, unsafe.Slice((*byte)(unsafe.Pointer(&q)), unsafe.Sizeof(q))); err != nil {
		return nil, err
	}
	buffer := make([]byte, 32<<10) // the kernel makes its answers no longer
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil {
			return nil, err
		}
		some, done, err := parseAnswers(buffer[:n])
		if err != nil || done {
			return append(all, some...), err
		}
		all = append(all, some...)
	}
}

// parseAnswers reads what the kernel sent at once. The last time it is done.
func parseAnswers(b []byte) (all []listener, done bool, err error) {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil, false, err
	}
	for _, m := range messages {
		switch {
		case m.Header.Type == unix.NLMSG_DONE:
			return all, true, nil
		case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
			return nil, true, syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
		case len(m.Data) < int(unsafe.Sizeof(answer{})):
			return nil, true, fmt.Errorf("a message of type %d with %d bytes", m.Header.Type, len(m.Data))
		}
		l := (*answer)(unsafe.Pointer(&m.Data[0])).listener()
		l.only6 = attribute(m.Data[unsafe.Sizeof(answer{}):], skV6Only) == 1
		all = append(all, l)
	}
	return all, false, nil
}

func (a *answer) listener() listener {
	addr := netip.AddrFrom16(a.id.source).Unmap()
	if a.family == unix.AF_INET {
		addr = netip.AddrFrom4([4]byte(a.id.source[:4]))
	}
	at := netip.AddrPortFrom(addr, binary.BigEndian.Uint16(a.id.sourcePort[:]))
	return listener{addr: at, uid: a.uid, inode: a.inode}
}

// attribute returns the first byte of the attribute of that type among those
// that follow an answer, or 0.
func attribute(b []byte, wanted uint16) byte {
	const header = unix.SizeofNlAttr
	for len(b) > header {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if kind == wanted && size > header {
			return b[header]
		}
		aligned := (max(size, header) + unix.NLA_ALIGNTO - 1) &^ (unix.NLA_ALIGNTO - 1)
		b = b[min(aligned, len(b)):]
	}
	return 0
}
