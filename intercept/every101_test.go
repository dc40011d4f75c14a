package intercept_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"exectape/intercept"
	"exectape/session"

	"go.uber.org/zap/zaptest/observer"
)

// Whatever net/http would answer with a 101 is recorded, with the very bytes
// that it would have read, or never answered so. Each input is sent twice: to a
// streaming server itself, and to one behind exectape.
func FuzzEvery101IsRecorded(f *testing.F) {
	for _, a := range slices.Concat(approaches(), vagueApproaches()) {
		f.Add([]byte(a.requests+"and the session"), []byte(nil), []byte(nil), []byte{0})
	}
	for seed := range uint64(50) { // so that a short run has seen most of the grammar
		f.Add([]byte(nil), someProgram(seed), []byte(nil), []byte{7, 100})
	}
	twins := newTwins(f)
	f.Fuzz(func(t *testing.T, raw, program, patches, cuts []byte) {
		if len(raw) > maxRaw || len(program) > maxProgram {
			t.Skip("more of it tells no more")
		}
		twins.compare(t, patched(string(raw)+requests(program), patches), cuts)
	})
}

// someProgram writes a request or a few, of which most is as it should be.
func someProgram(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 101))
	program := make([]byte, 1+random.IntN(60))
	for i := range program {
		if random.IntN(4) == 0 {
			program[i] = byte(random.IntN(256))
		}
	}
	return program
}

const (
	maxRaw     = 512 << 10
	maxProgram = 256
)

// Twins are two streaming servers, one of them behind a proxy.
type twins struct {
	direct, behind *streaming
	proxy          *proxy

	mu   sync.Mutex // guards recs
	recs []*recording
}

func newTwins(f *testing.F) *twins {
	w := &twins{direct: newStreaming(f), behind: newStreaming(f)}
	w.proxy = newProxy(f, w.behind.addr, func(s *intercept.Server) {
		s.Open = w.open
		raw := s.Protocols["spdy/3.1"]
		raw.NewDecoder = func(string) session.Decoder { return session.Opaque{} }
		s.Protocols = map[string]intercept.Protocol{"spdy/3.1": raw} // every byte comes to be seen
		s.HeadTimeout, s.HalfCloseIdle = stall, stall
	})
	return w
}

// stall is when the proxy gives up waiting: nothing in these tests is that
// slow, so that whoever waits so long waits for the wrong side.
const stall = 2 * time.Second

func (w *twins) open(info session.Info) (session.Recorder, error) {
	r := &recording{info: info, closed: make(chan session.End, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recs = append(w.recs, r)
	return r, nil
}

func (w *twins) compare(t *testing.T, stream string, cuts []byte) {
	w.mu.Lock()
	w.recs = nil
	w.mu.Unlock()
	w.proxy.logs.TakeAll()

	w.direct.begin()
	converse(t, dial(t, w.direct.addr), stream, cuts)
	want := w.direct.seen()

	w.behind.begin()
	conn := dial(t, w.proxy.addr)
	askSOCKS(t, conn, w.behind.addr, "")
	answers := converse(t, conn, stream, cuts)
	got := w.behind.seen()

	switch {
	case !strings.Contains(answers, " 101 Switching Protocols\r\n"):
		if why := reason(w.proxy.logs.TakeAll()); want.session && !mayRefuse(why, stream) {
			t.Errorf("a server alone answers %q with a 101, and we: %s; answers %.500q", want.target, why, answers)
		}
		w.behind.settle(t)
		if got := w.behind.seen(); got.read != "" {
			t.Errorf("refused, and yet a server reads %v", got)
		}
	case want.session && got != want:
		t.Errorf("a server alone reads %v, and one behind us %v", want, got)
	case !exactPortForward.MatchString(got.target):
		w.recorded(t, got)
	}
}

// recorded holds that the visit was recorded, and what it was told.
func (w *twins) recorded(t *testing.T, v visit) {
	t.Helper()
	w.mu.Lock()
	recs := w.recs
	w.mu.Unlock()
	if len(recs) != 1 {
		t.Fatalf("%d recordings of %v", len(recs), v)
	}
	recs[0].end(t)
	var kept [2]strings.Builder
	for _, e := range recs[0].events {
		kept[e.From].Write(e.Data)
	}
	if got := kept[session.FromClient].String(); got != v.read {
		t.Errorf("of %v was recorded as the client's %.100q", v, got)
	}
	if got := kept[session.FromServer].String(); got != greeting {
		t.Errorf("of %v was recorded as the server's %q", v, got)
	}
}

var exactPortForward = regexp.MustCompile(`^(/cri)?/portforward/[A-Za-z0-9_-]{8}$`)

// mayRefuse reports whether we may end a connection for that reason though a
// server would have upgraded it: the request's body ends early, has no sense,
// or is so long that it can't be told where in it the session would begin; or
// the server looks for the end of a trailer in the next request, which we keep
// from it until it has answered (net/http, transfer.go, seeUpcomingDoubleCRLF).
func mayRefuse(why, stream string) bool {
	return strings.Contains(why, "forward a request's body: ") ||
		strings.Contains(why, "i/o timeout") && strings.Contains(strings.ToLower(stream), "chunked")
}

// reason is why a connection ended without an upgrade. Other lines may be of the
// session before, which says its last words when its client has gone.
func reason(entries []observer.LoggedEntry) string {
	for _, e := range entries {
		if err, ok := e.ContextMap()["error"].(string); ok && e.Message == "connection ended before an upgrade" {
			return err
		}
	}
	return "no reason"
}

// converse writes stream, ends it, and returns all that comes back.
func converse(t *testing.T, conn *net.TCPConn, stream string, cuts []byte) string {
	t.Helper()
	var written sync.WaitGroup
	written.Go(func() {
		for _, n := range cuts[:min(len(cuts), 32)] {
			n := min(int(n), len(stream))
			_, _ = io.WriteString(conn, stream[:n])
			stream = stream[n:]
		}
		_, _ = io.WriteString(conn, stream) // it may well be cut off
		_ = conn.CloseWrite()
	})
	b, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection hangs")
	}
	_ = conn.Close()
	written.Wait()
	return string(b)
}

// A visit is what a streaming server saw of a connection that it upgraded.
type visit struct {
	session bool
	target  string // of the request
	read    string // by the session
}

func (v visit) String() string { return fmt.Sprintf("%.100q for %.100q", v.read, v.target) }

// greeting is what a session is sent first.
const greeting = "hello"

// streaming is a streaming server that is visited by one connection at a time,
// greets every session and reads it to its end.
type streaming struct {
	addr netip.AddrPort

	conns sync.WaitGroup

	mu    sync.Mutex // guards the visit
	visit *visit     // of the connections that are accepted now
}

type visitKey struct{}

func newStreaming(f *testing.F) *streaming {
	f.Helper()
	s := &streaming{visit: &visit{}}
	mux := http.NewServeMux()
	for _, path := range streamingPaths {
		mux.HandleFunc(path, func(w http.ResponseWriter, req *http.Request) {
			conn, client, err := switchProtocols(w, req)
			if conn == nil {
				_ = err // of a client that is gone
				return
			}
			defer s.conns.Done()
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, greeting)
			read, _ := io.ReadAll(client)
			s.mu.Lock()
			defer s.mu.Unlock()
			*req.Context().Value(visitKey{}).(*visit) = visit{true, req.RequestURI, string(read)}
		})
	}
	ln := listenLoopback(f)
	s.addr = addrOf(ln)
	server := &http.Server{
		Handler:  mux,
		ErrorLog: log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			s.mu.Lock()
			defer s.mu.Unlock()
			return context.WithValue(ctx, visitKey{}, s.visit)
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.conns.Add(1)
			case http.StateClosed:
				s.conns.Done()
			}
		},
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(ln) }()
	f.Cleanup(func() { _ = server.Close(); <-served })
	return s
}

// begin awaits the next visit.
func (s *streaming) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visit = &visit{}
}

// seen returns the visit, complete once the visitor has read to the end.
func (s *streaming) seen() visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.visit
}

// settle returns when every connection made so far has been accepted and has
// ended.
func (s *streaming) settle(t *testing.T) {
	t.Helper()
	conn := dial(t, s.addr)
	write(t, conn, "GET /nowhere HTTP/1.0\r\n\r\n")
	if got := head(t, bufio.NewReader(conn)); got != http.StatusNotFound {
		t.Errorf("status %d", got)
	}
	_ = conn.Close()
	s.conns.Wait()
}
