package contender

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// connect is the client's part of SOCKS5 (RFC 1928): no authentication, CONNECT
// to an address of IPv4.
func connect(conn net.Conn, target netip.AddrPort) error {
	var answer [10]byte
	if _, err := conn.Write([]byte{5, 1, 0}); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, answer[:2]); err != nil {
		return fmt.Errorf("SOCKS5: %w", err)
	}
	request := append([]byte{5, 1, 0, 1}, target.Addr().AsSlice()...)
	if _, err := conn.Write(binary.BigEndian.AppendUint16(request, target.Port())); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("SOCKS5: %w", err)
	}
	if answer[1] != 0 {
		return fmt.Errorf("SOCKS5: refused with %d", answer[1])
	}
	return nil
}
