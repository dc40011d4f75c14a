package targets

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// A listener is a TCP socket of our network namespace that listens.
type listener struct {
	addr  netip.AddrPort // where it is bound to; of IPv4 that is mapped into IPv6, the IPv4
	uid   int            // whose it is
	inode uint64         // by which it is found among a process's files
}

// reached returns the addresses at which the kubelet reaches l. It dials what
// the runtime told it, which is what the runtime's listener says of itself
// (k8s.io/cri-streaming, Server.Start). If that is a wildcard the kernel
// connects to the loopback of its family, as BSD's did; and a wildcard of IPv6
// is IPv4's as well, unless it was told not to be.
func (l listener) reached() []netip.AddrPort {
	port := l.addr.Port()
	loopback4 := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	switch {
	case !l.addr.Addr().IsUnspecified():
		return []netip.AddrPort{l.addr}
	case l.addr.Addr().Is4():
		return []netip.AddrPort{loopback4}
	default:
		return []netip.AddrPort{loopback4, netip.AddrPortFrom(netip.IPv6Loopback(), port)}
	}
}

// takes reports whether a connection to addr may come to l.
func (l listener) takes(addr netip.AddrPort) bool {
	return l.addr.Port() == addr.Port() && (l.addr.Addr() == addr.Addr() || l.addr.Addr().IsUnspecified())
}

// listening returns all that listens, below proc, which is /proc.
func listening(proc string) (all []listener, err error) {
	for _, family := range []string{"tcp", "tcp6"} {
		f, err := os.Open(proc + "/self/net/" + family)
		if family == "tcp6" && errors.Is(err, fs.ErrNotExist) {
			break // this kernel has no IPv6
		}
		if err != nil {
			return nil, err
		}
		some, err := parseListeners(f)
		_ = f.Close() // it was only read
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// The columns of /proc/net/tcp and tcp6, and of them two states.
const (
	columnLocal = 1
	columnState = 3
	columnUID   = 7
	columnInode = 9

	stateListen  = "0A"
	stateSynRecv = "03"
)

// parseListeners reads the rows of those that listen. The kernel prints them
// first (tcp_seq_start in net/ipv4/tcp_ipv4.c; before 4.4 among them what is
// about to be accepted), so that it need not be read how many connections there
// are.
func parseListeners(r io.Reader) (all []listener, err error) {
	rows := bufio.NewScanner(r)
	rows.Scan() // the names of the columns
	for rows.Scan() {
		row := strings.Fields(rows.Text())
		switch {
		case len(row) <= columnInode:
			return nil, fmt.Errorf("a row of %d columns: %q", len(row), rows.Text())
		case row[columnState] == stateSynRecv:
			continue
		case row[columnState] != stateListen:
			return all, nil
		}
		l := listener{}
		if l.addr, err = parseAddr(row[columnLocal]); err != nil {
			return nil, err
		}
		if l.uid, err = strconv.Atoi(row[columnUID]); err != nil {
			return nil, fmt.Errorf("the owner of a socket: %w", err)
		}
		if l.inode, err = strconv.ParseUint(row[columnInode], 10, 64); err != nil {
			return nil, fmt.Errorf("the inode of a socket: %w", err)
		}
		all = append(all, l)
	}
	return all, rows.Err()
}

// parseAddr reads an address as the kernel prints it: words of 32 bits, each a
// number of this machine's byte order, and the port.
func parseAddr(text string) (netip.AddrPort, error) {
	words, port, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(words)%8 != 0 {
		return netip.AddrPort{}, fmt.Errorf("the address %q is none", text)
	}
	var bytes []byte
	for ; words != ""; words = words[8:] {
		word, err := strconv.ParseUint(words[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("the address %q: %w", text, err)
		}
		bytes = binary.NativeEndian.AppendUint32(bytes, uint32(word))
	}
	addr, ok := netip.AddrFromSlice(bytes)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("the address %q is none", text)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
