package sockdiag

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Socket is what the kernel tells of one.
type Socket struct {
	Local, Remote netip.AddrPort // of IPv4 that is mapped into IPv6, the IPv4; a listener has no Remote
	UID           uint32         // whose it is
	Inode         uint32         // by which it is found among a process's files; 0: it is nobody's any more
	Only6         bool           // of a listener: it takes nothing of IPv4 (IPV6_V6ONLY, ipv6(7))
}

// Listening returns all sockets that listen.
func Listening() (all []Socket, err error) {
	fd, err := open()
	if err != nil {
		return nil, fmt.Errorf("ask the kernel what listens: %w", err)
	}
	defer unix.Close(fd)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		some, err := ask(fd, question{family: family, states: 1 << unix.BPF_TCP_LISTEN}, unix.NLM_F_DUMP)
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

// ErrNone says that there is no such socket in our network namespace.
var ErrNone = errors.New("no such socket")

// Connected returns the socket of a connection's one end, with the addresses as
// that end knows them.
func Connected(local, remote netip.AddrPort) (Socket, error) {
	fd, err := open()
	if err != nil {
		return Socket{}, fmt.Errorf("ask the kernel for a socket: %w", err)
	}
	defer unix.Close(fd)
	all, err := ask(fd, question{family: familyOf(local), states: ^uint32(0), id: idOf(local, remote)}, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return Socket{}, ErrNone
	case err != nil:
		return Socket{}, fmt.Errorf("ask the kernel for a socket (sock_diag, which takes its module tcp_diag): %w", err)
	}
	for _, s := range all {
		// Where there is none the kernel answers with a listener at that address.
		if s.Local == local && s.Remote == remote {
			return s, nil
		}
	}
	return Socket{}, ErrNone
}

// open returns a socket to ask through. A kernel that does not answer at once
// never will.
func open() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}
