package sockdiag

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// byFamily is SOCK_DIAG_BY_FAMILY of linux/sock_diag.h.
const byFamily = 20

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

func familyOf(a netip.AddrPort) uint8 {
	if a.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// idOf names a socket. Its cookie is any: INET_DIAG_NOCOOKIE.
func idOf(local, remote netip.AddrPort) socketID {
	id := socketID{cookie: [2]uint32{^uint32(0), ^uint32(0)}}
	binary.BigEndian.PutUint16(id.sourcePort[:], local.Port())
	binary.BigEndian.PutUint16(id.destinationPort[:], remote.Port())
	copy(id.source[:], local.Addr().AsSlice())
	copy(id.destination[:], remote.Addr().AsSlice())
	return id
}

// ask returns what answers q, which flags say how to take.
func ask(fd int, q question, flags uint16) (all []Socket, err error) {
	q.protocol = unix.IPPROTO_TCP
	q.header = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(q)), Type: byFamily, Flags: unix.NLM_F_REQUEST | flags}
	if _, err := unix.Write(fd, unsafe.Slice((*byte)(unsafe.Pointer(&q)), unsafe.Sizeof(q))); err != nil {
		return nil, err
	}
	size := 1 << 10
	if flags&unix.NLM_F_DUMP != 0 {
		size = 32 << 10 // the kernel makes its answers no longer
	}
	buffer := make([]byte, size)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil {
			return nil, err
		}
		some, done, err := parseAnswers(buffer[:n])
		all = append(all, some...)
		if err != nil || done || flags&unix.NLM_F_DUMP == 0 {
			return all, err
		}
	}
}

// parseAnswers reads what the kernel sent at once. The last time it is done.
func parseAnswers(b []byte) (all []Socket, done bool, err error) {
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
		s := (*answer)(unsafe.Pointer(&m.Data[0])).socket()
		s.Only6 = attribute(m.Data[unsafe.Sizeof(answer{}):], skV6Only) == 1
		all = append(all, s)
	}
	return all, false, nil
}

func (a *answer) socket() Socket {
	s := Socket{Local: a.addr(a.id.source, a.id.sourcePort), UID: a.uid, Inode: a.inode}
	if a.state != unix.BPF_TCP_LISTEN {
		s.Remote = a.addr(a.id.destination, a.id.destinationPort)
	}
	return s
}

func (a *answer) addr(bytes [16]byte, port [2]byte) netip.AddrPort {
	addr := netip.AddrFrom16(bytes).Unmap()
	if a.family == unix.AF_INET {
		addr = netip.AddrFrom4([4]byte(bytes[:4]))
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port[:]))
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
