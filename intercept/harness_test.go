package intercept_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"exectape/intercept"
	"exectape/session"
	"exectape/spdy"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = time.Minute

// A proxy is a Server that is entered through SOCKS5, which takes no
// privileges, in front of one target.
type proxy struct {
	t      testing.TB
	server *intercept.Server
	addr   netip.AddrPort
	target netip.AddrPort
	logs   *observer.ObservedLogs

	mu       sync.Mutex
	recorded []*recording
}

// newProxy starts a proxy in front of target. configure may change the server
// before it serves.
func newProxy(t testing.TB, target netip.AddrPort, configure func(*intercept.Server)) *proxy {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	p := &proxy{t: t, target: target, logs: logs}
	p.server = &intercept.Server{
		IsTarget: func(to netip.AddrPort) bool { return to == target },
		Protocols: map[string]intercept.Protocol{"spdy/3.1": {
			Name:              "spdy",
			SubprotocolHeader: "X-Stream-Protocol-Version",
			NewDecoder:        func(s string) session.Decoder { return spdy.New(s) },
		}},
		Open:          p.open,
		HeadTimeout:   patience,
		HalfCloseIdle: patience,
		Log:           zap.New(core),
		Noise:         zap.New(core),
	}
	if configure != nil {
		configure(p.server)
	}
	ln := listenLoopback(t)
	p.addr = addrOf(ln)
	served := make(chan error, 1)
	go func() { served <- p.server.ServeSOCKS5(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nothing is left that a test would wait for
		p.server.Shutdown(ctx, "the test is over")
		if err := <-served; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, e := range logs.All() {
				t.Log(e.Message, e.ContextMap())
			}
		}
	})
	return p
}

func listenLoopback(t testing.TB) *net.TCPListener {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func addrOf(ln net.Listener) netip.AddrPort { return netip.MustParseAddrPort(ln.Addr().String()) }

// dial connects to the proxy's target by hand, and sends first in one piece
// with the SOCKS5 request.
func (p *proxy) dial(first string) *net.TCPConn {
	p.t.Helper()
	return p.dialTo(p.target, first)
}

func (p *proxy) dialTo(to netip.AddrPort, first string) *net.TCPConn {
	p.t.Helper()
	conn := p.connect()
	askSOCKS(p.t, conn, to, first)
	return conn
}

// askSOCKS asks for a connection to an address, and sends first at once.
func askSOCKS(t testing.TB, conn net.Conn, to netip.AddrPort, first string) {
	t.Helper()
	ip := to.Addr().As4()
	hello := append([]byte{5, 1, 0, 5, 1, 0, 1}, ip[:]...)
	hello = append(hello, byte(to.Port()>>8), byte(to.Port()))
	write(t, conn, string(hello)+first)
	if reply := read(t, conn, 12); reply[3] != 0 {
		t.Fatalf("SOCKS5 reply % x", reply)
	}
}

// connect opens a connection to the SOCKS5 front and says nothing.
func (p *proxy) connect() *net.TCPConn {
	p.t.Helper()
	return dial(p.t, p.addr)
}

func dial(t testing.TB, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// A recording keeps one session's events in memory.
type recording struct {
	info   session.Info
	mu     sync.Mutex
	events []session.Event
	closed chan session.End
}

func (p *proxy) open(info session.Info) (session.Recorder, error) {
	r := &recording{info: info, closed: make(chan session.End, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorded = append(p.recorded, r)
	return r, nil
}

func (r *recording) Record(e session.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Data = bytes.Clone(e.Data)
	r.events = append(r.events, e)
	return nil
}

func (r *recording) Commit(func(error)) error { return nil }

func (r *recording) Close(end session.End) error {
	r.closed <- end
	return nil
}

// data returns all that was recorded of one kind, and of one stream if it is
// not 0.
func (r *recording) data(kind session.Kind, stream session.Stream) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all strings.Builder
	for _, e := range r.events {
		if e.Kind == kind && (stream == 0 || e.Stream == stream) {
			all.Write(e.Data)
		}
	}
	return all.String()
}

// sessions returns the recordings once there are n of them, all closed.
func (p *proxy) sessions(n int) []*recording {
	p.t.Helper()
	p.mu.Lock()
	all := p.recorded
	p.mu.Unlock()
	if len(all) != n {
		p.t.Fatalf("%d sessions were recorded, want %d", len(all), n)
	}
	for _, r := range all {
		r.end(p.t)
	}
	return all
}

// end waits for the recording to be closed.
func (r *recording) end(t testing.TB) session.End {
	t.Helper()
	select {
	case end := <-r.closed:
		r.closed <- end
		return end
	case <-time.After(patience):
		t.Fatal("the recording was not closed")
		panic("unreachable")
	}
}

// A runtime is a streaming server as far as HTTP goes: net/http, which answers
// 101 to what asks for SPDY on /exec/, /attach/ and /portforward/, and then
// leaves the connection to talk.
func newRuntime(t *testing.T, talk func(conn net.Conn, client *bufio.Reader)) netip.AddrPort {
	t.Helper()
	var mu sync.Mutex // for closed, and so that no talk begins after it is set
	var closed bool
	var talking sync.WaitGroup
	mux := http.NewServeMux()
	upgrade := func(w http.ResponseWriter, req *http.Request) {
		conn, client, err := switchProtocols(w, req)
		if err != nil {
			t.Error(err)
		}
		if conn == nil {
			return
		}
		defer func() { _ = conn.Close() }()
		mu.Lock()
		if closed {
			mu.Unlock()
			return
		}
		talking.Add(1)
		mu.Unlock()
		defer talking.Done()
		_ = conn.SetDeadline(time.Now().Add(patience))
		talk(conn, client)
	}
	for _, path := range streamingPaths {
		mux.HandleFunc(path, upgrade)
	}
	ln := listenLoopback(t)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(ln) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		mu.Lock()
		closed = true
		mu.Unlock()
		talking.Wait()
	})
	return addrOf(ln)
}

var streamingPaths = []string{"/exec/", "/attach/", "/portforward/", "/cri/exec/", "/cri/portforward/"} // the last are cri-dockerd's

// switchProtocols answers what asks for SPDY or WebSocket with a 101, as
// k8s.io/cri-streaming does, and returns the connection. What doesn't ask gets
// a 400.
func switchProtocols(w http.ResponseWriter, req *http.Request) (net.Conn, *bufio.Reader, error) {
	if strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		conn, buffered, err := w.(http.Hijacker).Hijack() // net/http has no part in the answer
		if err != nil {
			return nil, nil, err
		}
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		return conn, buffered.Reader, err
	}
	if !strings.Contains(strings.ToLower(req.Header.Get("Upgrade")), "spdy/3.1") {
		http.Error(w, "no upgrade", http.StatusBadRequest)
		return nil, nil, nil
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "SPDY/3.1")
	w.Header().Set("X-Stream-Protocol-Version", "v4.channel.k8s.io")
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return conn, buffered.Reader, nil
}

// newPeer is a bare TCP server: talk gets each connection and closes it.
func newPeer(t *testing.T, talk func(conn *net.TCPConn)) netip.AddrPort {
	t.Helper()
	ln := listenLoopback(t)
	var talking sync.WaitGroup
	talking.Add(1)
	go func() {
		defer talking.Done()
		for {
			conn, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			talking.Add(1)
			go func() { defer talking.Done(); talk(conn) }()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); talking.Wait() })
	return addrOf(ln)
}

func write(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, r io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read %d bytes: %v", n, err)
	}
	return b
}

// upgradeRequest is a request as a kubelet sends it, but for its first line
// and whatever headers more.
func upgradeRequest(line string, more ...string) string {
	return line + "\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n" +
		"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n" + strings.Join(append(more, ""), "\r\n") + "\r\n"
}

// head reads one response head and returns its status.
func head(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("read a response: %v", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("read a response's body: %v", err)
		}
	}
	return resp.StatusCode
}

func has(logs *observer.ObservedLogs, message, field, part string) error {
	for _, e := range logs.FilterMessage(message).All() {
		if strings.Contains(fmt.Sprint(e.ContextMap()[field]), part) {
			return nil
		}
	}
	return fmt.Errorf("no line %q with %s=…%s… in the log", message, field, part)
}
