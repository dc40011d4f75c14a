package e2e_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"golang.org/x/net/proxy"
)

// dial opens a connection the way a kubelet would, for what no kubelet would
// say on it. It is closed at the test's end.
func (w way) dial(t *testing.T, to netip.AddrPort) (*net.TCPConn, error) {
	t.Helper()
	first := to.String()
	if w.kubelet.Proxy != nil {
		first = w.kubelet.Proxy.Host
	}
	var d net.Dialer
	conn, err := d.DialContext(patiently(t), "tcp", first)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	if w.kubelet.Proxy != nil {
		err = handshake(conn, to)
	}
	return conn.(*net.TCPConn), err
}

// mustDial is dial for where it must succeed.
func (w way) mustDial(t *testing.T, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := w.dial(t, to)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// handshake asks the SOCKS5 server at the other end of conn for an address. The
// connection is used directly afterwards: the client's own has no half-close.
func handshake(conn net.Conn, to netip.AddrPort) error {
	client, err := proxy.SOCKS5("tcp", "", nil, dialed{conn})
	if err != nil {
		return err
	}
	_, err = client.Dial("tcp", to.String())
	return err
}

// dialed is a [proxy.Dialer] that has already dialed.
type dialed struct{ net.Conn }

func (d dialed) Dial(string, string) (net.Conn, error) { return d.Conn, nil }

func port(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
