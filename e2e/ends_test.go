package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// TestAnEndPassesThrough looks at the connections themselves: both ends are
// ours, and what is said after the upgrade is no protocol at all.
func TestAnEndPassesThrough(t *testing.T) {
	needsNode(t)
	target := listen(t)
	sides := []struct {
		name  string
		which func(client, target *net.TCPConn) (one, other *net.TCPConn)
	}{
		{"client", func(client, target *net.TCPConn) (one, other *net.TCPConn) { return client, target }},
		{"target", func(client, target *net.TCPConn) (one, other *net.TCPConn) { return target, client }},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			start(t, append(w.env, "EXECTAPE_TARGETS="+target.Addr().String())...)
			for _, verb := range []string{"exec", "portforward"} {
				for _, side := range sides {
					t.Run(fmt.Sprintf("%s, the %s has no more to say", verb, side.name), func(t *testing.T) {
						one, other := side.which(w.upgraded(t, target, verb))
						if err := one.CloseWrite(); err != nil {
							t.Fatal(err)
						}
						wantEnd(t, other, io.EOF)
						say(t, other, "still here")
						hear(t, one, "still here")
						if err := other.CloseWrite(); err != nil {
							t.Fatal(err)
						}
						wantEnd(t, one, io.EOF)
					})
					t.Run(fmt.Sprintf("%s, the %s resets", verb, side.name), func(t *testing.T) {
						one, other := side.which(w.upgraded(t, target, verb))
						if err := errors.Join(one.SetLinger(0), one.Close()); err != nil {
							t.Fatal(err)
						}
						wantEnd(t, other, syscall.ECONNRESET)
					})
				}
			}
		})
	}
}

// upgraded connects a client to a target, past the upgrade.
func (w way) upgraded(t *testing.T, target *net.TCPListener, verb string) (client, server *net.TCPConn) {
	t.Helper()
	client = w.mustDial(t, target.Addr().(*net.TCPAddr).AddrPort())
	request := "POST /" + verb + "/token HTTP/1.1\r\n" + upgrade
	say(t, client, request) // nobody connects to the target before
	server = accept(t, target)
	if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	hear(t, server, request)
	say(t, server, "HTTP/1.1 101 "+http.StatusText(http.StatusSwitchingProtocols)+"\r\nConnection: Upgrade\r\nUpgrade: none\r\n\r\n")
	talk(t, client).answers(http.StatusSwitchingProtocols)
	say(t, client, "to the target")
	hear(t, server, "to the target")
	say(t, server, "to the client")
	hear(t, client, "to the client")
	return client, server
}

func say(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	if _, err := io.WriteString(conn, words); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	got := make([]byte, len(words))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != words {
		t.Fatalf("heard %q, %v; want %q", got, err, words)
	}
}

// wantEnd fails the test unless all that comes on conn is its end.
func wantEnd(t *testing.T, conn net.Conn, end error) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, end) {
		t.Errorf("read %d bytes, and %v; want %v", n, err, end)
	}
}

// listen listens on a free port of the loopback until the test's end.
func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// accept waits for a connection, which is closed at the test's end.
func accept(t *testing.T, ln *net.TCPListener) *net.TCPConn {
	t.Helper()
	deadline := time.Now().Add(patience)
	if err := ln.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	conn, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	return conn
}
