package intercept_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"exectape/intercept"
	"exectape/session"
)

func TestASessionBeyondTheLimit(t *testing.T) {
	const path = "/exec/abcdefgh"
	streams := opening(t, "error", "stdout")
	deaf := func(_ net.Conn, client *bufio.Reader) { _, _ = io.Copy(io.Discard, client) }
	limit := func(policy session.Policy) func(*intercept.Server) {
		return func(s *intercept.Server) { s.Policy, s.MaxSessions = policy, 1 }
	}
	t.Run("open: it goes on unrecorded", func(t *testing.T) {
		p := newProxy(t, newRuntime(t, hello(t, streams)), limit(session.FailOpen))
		first := p.dial(upgradeRequest("POST " + path + " HTTP/1.1"))
		fromFirst := bufio.NewReader(first)
		head(t, fromFirst)
		for range 2 {
			second := p.dial(upgradeRequest("POST "+path+" HTTP/1.1") + streams)
			fromSecond := bufio.NewReader(second)
			head(t, fromSecond)
			greeted(t, second, fromSecond)
		}
		if err := has(p.logs, "session not recorded", "error", "1 are being recorded, which is the limit"); err != nil {
			t.Error(err)
		}
		write(t, first, streams)
		greeted(t, first, fromFirst)
		p.sessions(1)
	})
	t.Run("closed: it is refused, and its client told why", func(t *testing.T) {
		p := newProxy(t, newRuntime(t, deaf), limit(session.FailClosed))
		first := p.dial(upgradeRequest("POST " + path + " HTTP/1.1"))
		head(t, bufio.NewReader(first))
		second := p.dial(upgradeRequest("POST " + path + " HTTP/1.1"))
		resp, err := http.ReadResponse(bufio.NewReader(second), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if want := "exectape refused this session because it can't be recorded: 1 are being recorded, which is the limit\n"; resp.StatusCode != 503 || string(body) != want || err != nil {
			t.Errorf("answer: %d %q, %v", resp.StatusCode, body, err)
		}
		_ = first.Close()
		p.sessions(1)
	})
	t.Run("one that could not be recorded leaves its place", func(t *testing.T) {
		p := newProxy(t, newRuntime(t, deaf), func(s *intercept.Server) {
			limit(session.FailClosed)(s)
			s.Open = func(session.Info) (session.Recorder, error) { return nil, errors.New("the disk is full") }
		})
		for range 2 {
			conn := p.dial(upgradeRequest("POST " + path + " HTTP/1.1"))
			if _, err := io.ReadAll(conn); err != nil {
				t.Fatal(err)
			}
		}
		if err := has(p.logs, "session refused", "error", "limit"); err == nil {
			t.Error("the limit was reached by a session that there never was")
		}
	})
}
