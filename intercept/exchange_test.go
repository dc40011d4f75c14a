package intercept_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"exectape/intercept"
	"exectape/session"
)

// hello is a runtime that waits for the client's streams, writes a word on its
// stdout, and reads to the end.
func hello(t *testing.T, streams string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, client *bufio.Reader) {
		got := make([]byte, len(streams))
		if _, err := io.ReadFull(client, got); err != nil || string(got) != streams {
			t.Errorf("the runtime read % x (%v), want % x", got, err, streams)
			return
		}
		if _, err := io.WriteString(conn, dataFrame(t, 3, "hello")); err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, client)
	}
}

// greeted reads what hello wrote and hangs up.
func greeted(t *testing.T, conn *net.TCPConn, r *bufio.Reader) {
	t.Helper()
	want := dataFrame(t, 3, "hello")
	if got := read(t, r, len(want)); string(got) != want {
		t.Errorf("the client read % x, want % x", got, want)
	}
	_ = conn.Close()
}

// An approach is what a client writes, all but its streams, to be answered with
// a 101, and what the proxy has to see in it.
type approach struct {
	name     string
	requests string
	statuses []int
	verb     string
}

func approaches() []approach {
	large := strings.Repeat("x", 300<<10)
	return []approach{
		{"exec", upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), []int{101}, "exec"},
		{"attach", upgradeRequest("POST /attach/abcdefgh HTTP/1.1"), []int{101}, "attach"},
		{"a trailing slash", upgradeRequest("POST /exec/abcdefgh/ HTTP/1.1"), []int{101}, "exec"},
		{"a query", upgradeRequest("POST /exec/abcdefgh?a=b HTTP/1.1"), []int{101}, "exec"},
		{"an absolute target", upgradeRequest("POST http://h/exec/abcdefgh HTTP/1.1"), []int{101}, "exec"},
		{"an escaped path", upgradeRequest("POST /%65xec/abcdefgh HTTP/1.1"), []int{101}, "exec"},
		{"GET", upgradeRequest("GET /exec/abcdefgh HTTP/1.1"), []int{101}, "exec"},
		{"HTTP/1.0", upgradeRequest("POST /exec/abcdefgh HTTP/1.0"), []int{101}, "exec"},
		{"bare line feeds", strings.ReplaceAll(upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), "\r\n", "\n"), []int{101}, "exec"},
		{"a list of upgrades", strings.Replace(upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), "SPDY/3.1", "h2c, spdy/3.1 ,x", 1), []int{101}, "exec"},
		{"a portforward with a query", upgradeRequest("POST /portforward/abcdefgh?x HTTP/1.1"), []int{101}, ""},
		{"a portforward with a longer token", upgradeRequest("POST /portforward/abcdefghi HTTP/1.1"), []int{101}, ""},
		{"an absolute portforward", upgradeRequest("POST http://h/portforward/abcdefgh HTTP/1.1"), []int{101}, ""},
		{"behind a 404", "GET /nowhere HTTP/1.1\r\nHost: node\r\n\r\n" + upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), []int{404, 101}, "exec"},
		{"the 21st of a connection", strings.Repeat("GET /nowhere HTTP/1.1\r\nHost: node\r\n\r\n", 20) + upgradeRequest("POST /exec/abcdefgh HTTP/1.1"),
			append(repeated(404, 20), 101), "exec"},
		{"behind a body", "POST /nowhere HTTP/1.1\r\nHost: node\r\nContent-Length: 5\r\n\r\nhello" + upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), []int{404, 101}, "exec"},
		{"behind a chunked body", "POST /nowhere HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n" + upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), []int{404, 101}, "exec"},
		{"behind a stray newline", "POST /nowhere HTTP/1.1\r\nHost: node\r\nContent-Length: 2\r\n\r\nhi\r\n" + upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), []int{404, 101}, "exec"},
		{"behind a HEAD", "HEAD /nowhere HTTP/1.1\r\nHost: node\r\n\r\n" + upgradeRequest("POST /exec/abcdefgh HTTP/1.1"), []int{404, 101}, "exec"},
		{"with a body that the server takes for the session", upgradeRequest("POST /exec/abcdefgh HTTP/1.1", fmt.Sprintf("Content-Length: %d", len(large))), []int{101}, "exec"},
		{"with a body that the server was not asked to read", upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"), []int{101}, "exec"},
		{"with a body on a connection that ends", strings.Replace(upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "Content-Length: 5"), "Connection: Upgrade", "Connection: Upgrade, close", 1), []int{101}, "exec"},
		{"with a body on a connection that ends, without a comma", strings.Replace(upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "Content-Length: 5"), "Connection: Upgrade", "Connection: Upgrade close", 1), []int{101}, "exec"},
	}
}

// vagueApproaches have a body that is small. What net/http makes of it depends on
// its version: it is dropped, or the session begins with it.
func vagueApproaches() []approach {
	return []approach{
		{"a body", upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "Content-Length: 5") + "hello", []int{101}, "exec"},
		{"a chunked body", upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", []int{101}, "exec"},
		{"a body on a connection that is kept, in HTTP/1.0", strings.Replace(upgradeRequest("POST /exec/abcdefgh HTTP/1.0", "Content-Length: 5"), "Connection: Upgrade", "Connection: Upgrade, keep-alive", 1) + "hello", []int{101}, "exec"},
	}
}

func TestEvery101IsRecordedWhateverItsRequestLooksLike(t *testing.T) {
	testApproaches(t, approaches(), func(t *testing.T, rec *recording) {
		if got := rec.data(session.Output, session.Stdout); got != "hello" {
			t.Errorf("stdout = %q", got)
		}
	})
}

func TestASessionBehindASmallBodyIsKeptRaw(t *testing.T) {
	testApproaches(t, vagueApproaches(), func(t *testing.T, rec *recording) {
		if got := rec.data(session.Raw, 0); !strings.Contains(got, dataFrame(t, 3, "hello")) {
			t.Errorf("raw = %q", got)
		}
		if got := rec.data(session.Output, 0); got != "" {
			t.Errorf("decoded as %q", got)
		}
	})
}

// testApproaches takes each approach and checks what is recorded then.
func testApproaches(t *testing.T, all []approach, check func(*testing.T, *recording)) {
	t.Helper()
	streams := opening(t, "error", "stdout")
	for _, test := range all {
		for _, pipelined := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/pipelined=%v", test.name, pipelined), func(t *testing.T) {
				p := newProxy(t, newRuntime(t, hello(t, streams)), nil)
				first := test.requests
				if pipelined {
					first += streams
				}
				conn := p.dial(first)
				r := bufio.NewReader(conn)
				for _, want := range test.statuses {
					if got := head404(t, r, want, test.requests); got != want {
						t.Fatalf("status %d, want %d", got, want)
					}
				}
				if !pipelined {
					write(t, conn, streams)
				}
				greeted(t, conn, r)

				rec := p.sessions(1)[0]
				if rec.info.Verb != test.verb || rec.info.Protocol != "spdy" || rec.info.Subprotocol != "v4.channel.k8s.io" || rec.info.Target != p.target {
					t.Errorf("recorded as %+v", rec.info)
				}
				check(t, rec)
			})
		}
	}
}

// head404 reads a response; the answer to a HEAD has no body.
func head404(t *testing.T, r *bufio.Reader, want int, requests string) int {
	t.Helper()
	if want == 404 && strings.HasPrefix(requests, "HEAD") {
		resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodHead})
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	return head(t, r)
}

func repeated(n, times int) (all []int) {
	for range times {
		all = append(all, n)
	}
	return all
}

// A server stops reading a chunked body after 256 KiB and answers; what it finds
// behind that is its session. It would be one that nobody records.
func TestWhatIsRefusedDoesNotBeginASession(t *testing.T) {
	read := make(chan string, 1)
	p := newProxy(t, newRuntime(t, func(_ net.Conn, client *bufio.Reader) {
		b, _ := io.ReadAll(client)
		read <- string(b)
	}), nil)
	chunk := "1000\r\n" + strings.Repeat("x", 4096) + "\r\n"
	for _, chunks := range []int{64, 65, 66} {
		t.Run(fmt.Sprintf("%d chunks", chunks), func(t *testing.T) {
			conn := p.dial("")
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(conn, upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "Transfer-Encoding: chunked")+
					strings.Repeat(chunk, chunks)+opening(t, "error", "stdout"))
			}()
			answers, _ := io.ReadAll(conn) // we may cut it off
			<-sent
			if got := <-read; got != "" || strings.Contains(string(answers), " 101 ") {
				t.Errorf("a session begins with %.200q; answers %q", got, answers)
			}
		})
	}
}

func TestAPortForwardIsSplicedAndNotRecorded(t *testing.T) {
	p := newProxy(t, newRuntime(t, func(conn net.Conn, client *bufio.Reader) { _, _ = io.Copy(conn, client) }), nil)
	for _, path := range []string{"/portforward/Ab-_5678", "/cri/portforward/Ab-_5678"} {
		conn := p.dial(upgradeRequest("POST "+path+" HTTP/1.1") + "early, ")
		r := bufio.NewReader(conn)
		if got := head(t, r); got != 101 {
			t.Fatalf("%s: status %d", path, got)
		}
		write(t, conn, "and late")
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); string(got) != "early, and late" || err != nil {
			t.Errorf("%s: the client read %q, %v", path, got, err)
		}
	}
	p.sessions(0)
}

func TestAnExecOfCriDockerdsIsAnExec(t *testing.T) {
	p := newProxy(t, newRuntime(t, func(conn net.Conn, client *bufio.Reader) {}), nil)
	conn := p.dial(upgradeRequest("POST /cri/exec/abcdefgh HTTP/1.1"))
	if got := head(t, bufio.NewReader(conn)); got != 101 {
		t.Fatalf("status %d", got)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := p.sessions(1)[0].info.Verb; got != "exec" {
		t.Errorf("verb = %q, want exec", got)
	}
}

func TestAnUnknownProtocolIsKeptRaw(t *testing.T) {
	p := newProxy(t, newPeer(t, func(conn *net.TCPConn) {
		defer func() { _ = conn.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nwelcome")
		_, _ = io.Copy(io.Discard, conn)
	}), nil)
	conn := p.dial(upgradeRequest("GET /exec/abcdefgh HTTP/1.1"))
	r := bufio.NewReader(conn)
	if got := head(t, r); got != 101 {
		t.Fatalf("status %d", got)
	}
	if got := read(t, r, 7); string(got) != "welcome" {
		t.Errorf("the client read %q", got)
	}
	// Whoever is woken by it can still look at the session.
	if said, counted := p.logs.FilterMessage("session kept raw from here on").Len(), p.server.Stats().Undecodable["other"]; said != 1 || counted != 1 {
		t.Errorf("while it goes on the log says %d times that it is kept raw, and it is counted %d times; want both once", said, counted)
	}
	_ = conn.Close()
	if got := p.sessions(1)[0].data(session.Raw, 0); got != "welcome" {
		t.Errorf("kept raw: %q", got)
	}
}

func TestWhatIsNoRequestIsAnswered(t *testing.T) {
	tests := []struct {
		name, sent string
		status     int
	}{
		{"no HTTP", "\x00\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400},
		{"a head beyond the server's own limit", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2<<20), 431},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProxy(t, newRuntime(t, nil), nil)
			conn := p.dial("")
			sent := make(chan struct{})
			go func() { defer close(sent); _, _ = io.WriteString(conn, test.sent) }() // it may be cut off
			if got := head(t, bufio.NewReader(conn)); got != test.status {
				t.Errorf("status %d, want %d", got, test.status)
			}
			<-sent
		})
	}
}

func TestASlowHeadTimesOut(t *testing.T) {
	for _, first := range []string{"", "POST /exec/abcdefgh HTT"} {
		t.Run(fmt.Sprintf("after %q", first), func(t *testing.T) {
			p := newProxy(t, newRuntime(t, nil), func(s *intercept.Server) { s.HeadTimeout = 200 * time.Millisecond })
			conn := p.dial(first)
			if got, _ := io.ReadAll(conn); len(got) > 0 {
				t.Errorf("the client read %q", got)
			}
		})
	}
}

func TestATargetThatDoesNotAnswerIsGivenUp(t *testing.T) {
	p := newProxy(t, newPeer(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }),
		func(s *intercept.Server) { s.HeadTimeout = 200 * time.Millisecond })
	conn := p.dial(upgradeRequest("POST /exec/abcdefgh HTTP/1.1"))
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("the client read %q", got)
	}
}

// A held body is let through once the answer shows that it is one.
func TestABodyThatWasHeldFollowsItsContinue(t *testing.T) {
	got := make(chan string, 1)
	p := newProxy(t, newPeer(t, func(conn *net.TCPConn) {
		defer func() { _ = conn.Close() }()
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		body, _ := io.ReadAll(req.Body)
		got <- string(body)
		_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	}), nil)
	conn := p.dial(upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "Content-Length: 5", "Expect: 100-continue") + "hello")
	r := bufio.NewReader(conn)
	for _, want := range []int{100, 404} {
		if got := head(t, r); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	if body := <-got; body != "hello" {
		t.Errorf("body = %q", body)
	}
}

func TestManyLargeHeadsWaitForEachOther(t *testing.T) {
	p := newProxy(t, newRuntime(t, nil), nil)
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			conn := p.dial("GET /nowhere HTTP/1.1\r\nHost: node\r\nX: " + strings.Repeat("x", 500<<10) + "\r\n\r\n")
			if got := head(t, bufio.NewReader(conn)); got != 404 {
				t.Errorf("status %d", got)
			}
		})
	}
	all.Wait()
}
