package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
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
		first := 20_000 + 100*i // where nobody is given one
		last := first + 15
		t.Run(w.name, func(t *testing.T) {
			e := start(t, w.env...)
			for port := first; port <= last; port++ {
				asks(t, port)
			}
			e.stop()
			usual, err := os.ReadFile(portRange)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.WriteFile(portRange, usual, 0) })
			if err := os.WriteFile(portRange, fmt.Append(nil, first, last), 0); err != nil {
				t.Fatal(err)
			}
			e.start() // for which a probe must succeed
			if err := os.WriteFile(portRange, usual, 0); err != nil {
				t.Fatal(err)
			}
			hello(t, direct)
			e.recorded()
		})
	}
}

// asks asks the runtime for nothing in particular, from that port, and ends the
// connection.
func asks(t *testing.T, port int) {
	t.Helper()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	conn, err := net.DialTCP("tcp", from, net.TCPAddrFromAddrPort(streamingServer))
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
}
