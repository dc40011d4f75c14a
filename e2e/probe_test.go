package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
)

const portRange = "/proc/sys/net/ipv4/ip_local_port_range"

// Connection tracking knows a redirected connection for two minutes after its
// end, by the addresses and ports that its answers had. While no rule hooks it,
// a connection that was not redirected and has the same ones is taken for it.
func TestAProbeIsNotTakenForASessionThatHasEnded(t *testing.T) {
	needsNode(t)
	for i, w := range redirects {
		t.Run(w.name, func(t *testing.T) { notTakenForASession(t, w, 20_000+100*i, streamingServer) })
	}
	t.Run("IPv6", func(t *testing.T) {
		target, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv6loopback})
		if err != nil {
			t.Fatal(err)
		}
		nothing := http.Server{Handler: http.NotFoundHandler()}
		served := make(chan error, 1)
		go func() { served <- nothing.Serve(target) }()
		defer func() {
			_ = nothing.Close()
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}()
		notTakenForASession(t, byNFT, 20_200, target.Addr().(*net.TCPAddr).AddrPort())
	})
}

// notTakenForASession has sessions end at all ports that connect(2) takes of the
// sixteen from first on, which nobody else is given, and starts an exectape that
// is given no other ones.
func notTakenForASession(t *testing.T, w way, first int, target netip.AddrPort) {
	t.Helper()
	e := start(t, append(w.env, fmt.Sprintf("EXECTAPE_TARGETS=%v,%v", streamingServer, target))...)
	usual, err := os.ReadFile(portRange)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(portRange, usual, 0) })
	if err := os.WriteFile(portRange, fmt.Append(nil, first, first+15), 0); err != nil {
		t.Fatal(err)
	}
	// The other half is left to bind(2).
	for taken := make(map[int]bool); len(taken) < 8; {
		taken[asks(t, target)] = true
	}
	e.stop()
	e.start() // for which a probe must succeed
	if err := os.WriteFile(portRange, usual, 0); err != nil {
		t.Fatal(err)
	}
	hello(t, direct)
	e.recorded()
}

// asks asks target for nothing in particular, ends the connection, and returns
// the port that it had.
func asks(t *testing.T, target netip.AddrPort) int {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(target))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /exec/none HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever closes first keeps the port for a minute.
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("the answer is %s", answer.Status)
	}
	return conn.LocalAddr().(*net.TCPAddr).Port
}
