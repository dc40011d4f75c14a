package intercept_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"exectape/intercept"
	"exectape/session"
)

func TestWhatBecomesOfASessionWithoutASink(t *testing.T) {
	noSink := func(policy session.Policy) func(*intercept.Server) {
		return func(s *intercept.Server) {
			s.Policy = policy
			s.Open = func(session.Info) (session.Recorder, error) { return nil, errors.New("the disk is full") }
		}
	}
	streams := opening(t, "error", "stdout")
	t.Run("open: it goes on unrecorded", func(t *testing.T) {
		p := newProxy(t, newRuntime(t, hello(t, streams)), noSink(session.FailOpen))
		conn := p.dial(upgradeRequest("POST /exec/abcdefgh HTTP/1.1") + streams)
		r := bufio.NewReader(conn)
		if got := head(t, r); got != 101 {
			t.Fatalf("status %d", got)
		}
		greeted(t, conn, r)
		if err := has(p.logs, "session not recorded", "error", "the disk is full"); err != nil {
			t.Error(err)
		}
	})
	t.Run("closed: it is refused, and its client told why", func(t *testing.T) {
		p := newProxy(t, newRuntime(t, func(_ net.Conn, client *bufio.Reader) { _, _ = io.Copy(io.Discard, client) }), noSink(session.FailClosed))
		conn := p.dial(upgradeRequest("POST /exec/abcdefgh HTTP/1.1"))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if want := "exectape refused this session because it can't be recorded: the disk is full\n"; string(body) != want || err != nil {
			t.Errorf("answer: %q, %v", body, err)
		}
		if resp.StatusCode != 503 || !resp.Close || resp.ContentLength != int64(len(body)) {
			t.Errorf("answer: %+v", resp)
		}
	})
}

func TestAClosedPolicyEndsASessionThatCantBeDecoded(t *testing.T) {
	p, client, target, fromServer := upgradedPair(t, "/exec/abcdefgh", func(s *intercept.Server) { s.Policy = session.FailClosed })
	streams := opening(t, "error", "stdout")
	write(t, client, streams+"\x80\x03\x00\x05\x00\x00\x00\x00") // a NOOP
	farewell, err := io.ReadAll(fromServer)
	if err != nil || !strings.Contains(string(farewell), "could not be recorded: client byte") {
		t.Errorf("farewell = %q, %v", farewell, err)
	}
	_ = client.Close()
	if got, _ := io.ReadAll(target); len(got) > 0 {
		t.Errorf("the target read % x", got)
	}
	if end := p.sessions(1)[0].end(t); end.Reason != session.EndByUs {
		t.Errorf("end = %+v", end)
	}
}

func TestAClosedPolicyRefusesASessionBehindASmallBodyBeforeTheTargetKnows(t *testing.T) {
	const want = "exectape refused this session because it can't be recorded: the request to upgrade has a body, which may or may not be the session's beginning\n"
	for _, test := range vagueApproaches() {
		t.Run(test.name, func(t *testing.T) {
			read := make(chan string, 1)
			p := newProxy(t, newPeer(t, func(conn *net.TCPConn) {
				b, _ := io.ReadAll(conn)
				read <- string(b)
				_ = conn.Close()
			}), func(s *intercept.Server) { s.Policy = session.FailClosed })
			conn := p.dial(test.requests)
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if string(body) != want || err != nil || resp.StatusCode != http.StatusBadRequest {
				t.Errorf("answer: %s, %q, %v; want 400, %q", resp.Status, body, err, want)
			}
			_ = conn.Close()
			if got := <-read; got != "" {
				t.Errorf("the target read %q", got)
			}
			p.sessions(0)
		})
	}
	t.Run("but no port-forward", func(t *testing.T) {
		p := newProxy(t, newRuntime(t, func(conn net.Conn, client *bufio.Reader) { _, _ = io.Copy(conn, client) }),
			func(s *intercept.Server) { s.Policy = session.FailClosed })
		conn := p.dial(upgradeRequest("POST /portforward/abcdefgh HTTP/1.1", "Content-Length: 5") + "hello")
		if got := head(t, bufio.NewReader(conn)); got != http.StatusSwitchingProtocols {
			t.Errorf("status %d", got)
		}
	})
}

func TestTLSIsSplicedOrRefusedAndSaidOnce(t *testing.T) {
	const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	for policy, want := range map[session.Policy]string{session.FailOpen: hello, session.FailClosed: ""} {
		t.Run(policy.String(), func(t *testing.T) {
			p := newProxy(t, newPeer(t, func(conn *net.TCPConn) { _, _ = io.Copy(conn, conn); _ = conn.Close() }),
				func(s *intercept.Server) { s.Policy = policy })
			for range 3 {
				conn := p.dial(hello)
				_ = conn.CloseWrite()
				if got, _ := io.ReadAll(conn); string(got) != want {
					t.Errorf("the client read % x", got)
				}
			}
			if n := p.logs.FilterMessageSnippet("over TLS, which").Len(); n != 1 {
				t.Errorf("said %d times", n)
			}
			if n := p.server.OverTLS()[p.target]; n != 3 {
				t.Errorf("counted %d", n)
			}
			p.sessions(0)
		})
	}
}
