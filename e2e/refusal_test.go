package e2e_test

import (
	"io"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"
)

// listener is where redirected connections arrive, and elsewhere where nothing
// listens.
var (
	listener  = netip.MustParseAddrPort("127.0.0.1:1015")
	listener6 = netip.MustParseAddrPort("[::1]:1015")
	elsewhere = netip.MustParseAddrPort("127.0.0.1:9")
)

func TestOnlyTheWayToATargetIsOpen(t *testing.T) {
	needsNode(t)
	tests := []struct {
		name string
		way  way
		to   netip.AddrPort
	}{
		{"straight to the listener", byNFT, listener},
		{"straight to the listener, over IPv6", byNFT, listener6},
		{"a foreign rule leads to the listener", byLegacy, elsewhere},
		{"a SOCKS5 client asks for another address", bySOCKS5, elsewhere},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := start(t, test.way.env...)
			redirect(t, elsewhere, listener)

			conn, err := test.way.dial(t, test.to)
			if err == nil {
				wantClosed(t, conn)
			}
			refused := e.logs("connection refused")
			if got := refused.Text("original_destination"); got != test.to.String() {
				t.Errorf("the log says that %s was asked for, want %s", got, test.to)
			}
			if refused.Text("reason") == "" || refused.Text("client") == "" {
				t.Errorf("the log says neither why nor to whom: %v", refused)
			}
			e.wantNothingRecorded()
		})
	}
}

// redirect sets a rule that is none of exectape's, for as long as the test
// takes.
func redirect(t *testing.T, from, to netip.AddrPort) {
	t.Helper()
	rule := func(verb string) {
		t.Helper()
		args := []string{"-w", "-t", "nat", verb, "OUTPUT", "-p", "tcp", "-d", from.Addr().String(), "--dport", port(from), "-j", "REDIRECT", "--to-ports", port(to)}
		if said, err := exec.Command("iptables-legacy", args...).CombinedOutput(); err != nil {
			t.Fatalf("iptables-legacy %v: %v\n%s", args, err, said)
		}
	}
	rule("-A")
	t.Cleanup(func() { rule("-D") })
}

// wantClosed fails the test unless the other side closes conn without a word.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /exec/x HTTP/1.1\r\nHost: x\r\n\r\n") // it may be closed already
	if said, err := io.ReadAll(conn); len(said) > 0 || isTimeout(err) {
		t.Errorf("the connection was served: %q, %v; want it closed", said, err)
	}
}
