package intercept_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"exectape/intercept"
	"exectape/session"
)

// paths leads a test through both kinds of splice.
var paths = map[string]string{"recorded": "/exec/abcdefgh", "port-forward": "/portforward/abcdefgh"}

// upgradedPair returns the two ends of an upgraded connection, with the proxy
// between them.
func upgradedPair(t *testing.T, path string, configure func(*intercept.Server)) (p *proxy, client, target *net.TCPConn, fromServer *bufio.Reader) {
	t.Helper()
	accepted := make(chan *net.TCPConn, 1)
	over := make(chan struct{})
	p = newProxy(t, newPeer(t, func(conn *net.TCPConn) {
		accepted <- conn
		<-over
		_ = conn.Close()
	}), configure)
	t.Cleanup(func() { close(over) }) // before newPeer waits
	client = p.dial(upgradeRequest("POST " + path + " HTTP/1.1"))
	target = <-accepted
	if _, err := http.ReadRequest(bufio.NewReader(target)); err != nil {
		t.Fatal(err)
	}
	write(t, target, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n")
	fromServer = bufio.NewReader(client)
	if got := head(t, fromServer); got != 101 {
		t.Fatalf("status %d", got)
	}
	return p, client, target, fromServer
}

func TestAHalfCloseTravelsAndTheOtherHalfGoesOn(t *testing.T) {
	for name, path := range paths {
		t.Run("client first, "+name, func(t *testing.T) {
			_, client, target, fromServer := upgradedPair(t, path, nil)
			_ = client.CloseWrite()
			if got, err := io.ReadAll(target); len(got) > 0 || err != nil {
				t.Fatalf("the target read %q, %v", got, err)
			}
			write(t, target, "still here")
			_ = target.CloseWrite()
			if got, err := io.ReadAll(fromServer); string(got) != "still here" || err != nil {
				t.Errorf("the client read %q, %v", got, err)
			}
		})
		t.Run("target first, "+name, func(t *testing.T) {
			_, client, target, fromServer := upgradedPair(t, path, nil)
			_ = target.CloseWrite()
			if got, err := io.ReadAll(fromServer); len(got) > 0 || err != nil {
				t.Fatalf("the client read %q, %v", got, err)
			}
			write(t, client, "still here")
			_ = client.CloseWrite()
			if got, err := io.ReadAll(target); string(got) != "still here" || err != nil {
				t.Errorf("the target read %q, %v", got, err)
			}
		})
	}
}

func TestAResetTravels(t *testing.T) {
	for name, path := range paths {
		t.Run("client's, "+name, func(t *testing.T) {
			_, client, target, _ := upgradedPair(t, path, nil)
			_ = client.SetLinger(0)
			_ = client.Close()
			if _, err := io.ReadAll(target); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the target got %v, want a reset", err)
			}
		})
		t.Run("target's, "+name, func(t *testing.T) {
			_, _, target, fromServer := upgradedPair(t, path, nil)
			_ = target.SetLinger(0)
			_ = target.Close()
			if _, err := io.ReadAll(fromServer); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client got %v, want a reset", err)
			}
		})
	}
}

func TestWhatATargetSentBeforeItClosedReachesAClientThatStillWrites(t *testing.T) {
	_, client, target, fromServer := upgradedPair(t, "/exec/abcdefgh", nil)
	last := dataFrame(t, 1, strings.Repeat("x", 1<<20))
	sent := make(chan error, 1)
	go func() { // closes with the client's bytes unread, as runtimes do
		_, err := io.WriteString(target, last)
		_ = target.CloseWrite()
		sent <- err
	}()
	for range 10 {
		write(t, client, dataFrame(t, 1, "typed"))
	}
	got, err := io.ReadAll(fromServer)
	if string(got) != last || err != nil {
		t.Errorf("the client read %d bytes, %v; want %d", len(got), err, len(last))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestAnIdleHalfEnds(t *testing.T) {
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			_, client, target, fromServer := upgradedPair(t, path, func(s *intercept.Server) { s.HalfCloseIdle = 100 * time.Millisecond })
			_ = client.CloseWrite()
			if _, err := io.ReadAll(target); err != nil {
				t.Fatalf("the target: %v", err)
			}
			if _, err := io.ReadAll(fromServer); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the other half is still open")
			}
		})
	}
}

func TestShutdownWaitsForSessions(t *testing.T) {
	p, client, target, _ := upgradedPair(t, "/exec/abcdefgh", nil)
	down := make(chan int, 1)
	go func() { down <- p.server.Shutdown(t.Context(), "not said") }()
	p.waitUntilClosed()
	write(t, target, dataFrame(t, 3, "still here"))
	if got := read(t, client, 18); !strings.HasSuffix(string(got), "still here") {
		t.Errorf("the client read %q", got)
	}
	_ = client.Close()
	_ = target.Close()
	if n := <-down; n != 0 {
		t.Errorf("%d sessions were ended", n)
	}
	if end := p.sessions(1)[0].end(t); end.Reason != session.EndClient && end.Reason != session.EndTarget {
		t.Errorf("end = %+v", end)
	}
}

func TestASessionThatShutdownEndsSaysSoAtTheNextBoundary(t *testing.T) {
	p, client, target, fromServer := upgradedPair(t, "/exec/abcdefgh", nil)
	streams := opening(t, "error", "stdout")
	write(t, client, streams)
	read(t, target, len(streams)) // so the proxy knows them
	frame := dataFrame(t, 3, "half a frame")
	write(t, target, frame[:12])
	read(t, fromServer, 12)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	down := make(chan int, 1)
	go func() { down <- p.server.Shutdown(ctx, "out for lunch") }()
	p.waitUntilClosed()
	write(t, target, frame[12:])
	if got := read(t, fromServer, len(frame)-12); string(got) != frame[12:] {
		t.Errorf("the frame goes on with %q", got)
	}
	farewell, err := io.ReadAll(fromServer)
	if err != nil || !strings.Contains(string(farewell), `"status":"Failure","message":"out for lunch","reason":"InternalError"`) {
		t.Errorf("farewell = %q, %v", farewell, err)
	}
	_ = client.Close()
	if n := <-down; n != 1 {
		t.Errorf("%d sessions were ended, want 1", n)
	}
	if end := p.sessions(1)[0].end(t); end.Reason != session.EndByUs || end.Detail != "out for lunch" {
		t.Errorf("end = %+v", end)
	}
}

// waitUntilClosed waits until nobody is let in any more.
func (p *proxy) waitUntilClosed() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", p.addr.String())
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	p.t.Fatal("the listener is still open")
}

func TestSOCKS5LeadsToTargetsOnly(t *testing.T) {
	target := newRuntime(t, nil)
	stranger := addrOf(listenClosing(t))
	ask := func(command byte, to netip.AddrPort) string {
		ip := to.Addr().As4()
		return "\x05\x01\x00\x05" + string(command) + "\x00\x01" + string(ip[:]) + string([]byte{byte(to.Port() >> 8), byte(to.Port())})
	}
	tests := []struct {
		name, sent string
		reply      byte   // RFC 1928, section 6
		logged     string // the reason in the log
	}{
		{"another address", ask(1, stranger), 2, "not-a-target"},
		{"BIND", ask(2, target), 2, "not-connect"},
		{"UDP ASSOCIATE", ask(3, target), 2, "not-connect"},
		{"a name", "\x05\x01\x00\x05\x01\x00\x03\x09localhost\x00\x50", 4, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProxy(t, target, nil)
			conn := p.connect()
			write(t, conn, test.sent)
			if reply := read(t, conn, 4); reply[3] != test.reply {
				t.Errorf("reply % x, want %d", reply, test.reply)
			}
			if got, _ := io.ReadAll(conn); len(got) != 8 {
				t.Errorf("after the reply: % x", got)
			}
			if test.logged == "" {
				return
			}
			if err := has(p.logs, "connection refused", "reason", test.logged); err != nil {
				t.Error(err)
			}
		})
	}
}

// listenClosing listens for the test's time only.
func listenClosing(t *testing.T) *net.TCPListener {
	ln := listenLoopback(t)
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}
