package intercept_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"exectape/intercept"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

// told collects what a server tells of sessions that have ended.
type told chan session.Summary

func (c told) configure(s *intercept.Server) { s.Ended = func(e session.Summary) { c <- e } }

func (c told) next(t *testing.T) session.Summary {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(patience):
		t.Fatal("nobody was told of a session's end")
		panic("unreachable")
	}
}

func TestWhoCountsSessionsIsToldOfEachThatHasEnded(t *testing.T) {
	const path = "/exec/abcdefgh"
	streams := opening(t, "error", "stdout")
	full := func(session.Info) (session.Recorder, error) { return nil, errors.New("the disk is full") }
	for _, test := range []struct {
		name      string
		configure func(*intercept.Server)
		how       session.EndReason
		lost      string // under which reason what passed is counted
	}{
		{"it was recorded", func(*intercept.Server) {}, session.EndClient, ""},
		{"there is no sink, and it may go on", func(s *intercept.Server) { s.Open = full }, session.EndClient, "no-sink"},
		{"there is no sink, and it may not", func(s *intercept.Server) { s.Open, s.Policy = full, session.FailClosed }, session.EndRefused, ""},
		{"there are too many, and it may go on", func(s *intercept.Server) { s.MaxSessions = 1 }, session.EndUnrecorded, "too-many-sessions"},
		{"there are too many, and it may not", func(s *intercept.Server) { s.MaxSessions, s.Policy = 1, session.FailClosed }, session.EndRefused, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			told := make(told, 2)
			p := newProxy(t, newRuntime(t, func(conn net.Conn, client *bufio.Reader) {
				if _, err := io.ReadFull(client, make([]byte, len(streams))); err == nil {
					_, _ = io.WriteString(conn, dataFrame(t, 3, "hello"))
				}
				_, _ = io.Copy(io.Discard, client)
			}), func(s *intercept.Server) { told.configure(s); test.configure(s) })
			if p.server.MaxSessions == 1 { // somebody has the only place
				head(t, bufio.NewReader(p.dial(upgradeRequest("POST "+path+" HTTP/1.1"))))
			}
			conn := p.dial(upgradeRequest("POST " + path + " HTTP/1.1"))
			r := bufio.NewReader(conn)
			if head(t, r) == 101 {
				write(t, conn, streams)
				greeted(t, conn, r)
			}
			_ = conn.Close()
			got := told.next(t)
			if got.EndReason != test.how || got.Verb != "exec" || got.Protocol != "spdy" || got.Target != p.target {
				t.Errorf("told of %+v, want one that ended as %q", got, test.how)
			}
			for reason, n := range p.server.Stats().Unrecorded {
				if (n >= int64(len("hello"))) != (reason == test.lost) {
					t.Errorf("%d bytes are counted as unrecorded by reason of %s", n, reason)
				}
			}
		})
	}
}

func TestALiveSessionIsToldOfWhileItGoesOn(t *testing.T) {
	streams := opening(t, "error", "stdout", "stderr")
	p := newProxy(t, newRuntime(t, hello(t, streams)), nil)
	conn := p.dial(upgradeRequest("POST /exec/abcdefgh HTTP/1.1") + streams)
	r := bufio.NewReader(conn)
	head(t, r)
	read(t, r, len(dataFrame(t, 3, "hello")))
	all := p.server.Sessions()
	if len(all) != 1 {
		t.Fatalf("%d live sessions, want one: %+v", len(all), all)
	}
	want := session.Streams{Stdout: &session.Count{Bytes: 5}, Stderr: &session.Count{}}
	if diff := cmp.Diff(want, all[0].Streams); diff != "" || all[0].TTY == nil || *all[0].TTY {
		t.Errorf("%+v\n%s", all[0], diff)
	}
	_ = conn.Close()
	p.sessions(1)
}

func TestTheLogSaysHowASessionEndedAndHowMuchItShowed(t *testing.T) {
	streams := opening(t, "error", "stdout")
	told := make(told, 1)
	p := newProxy(t, newRuntime(t, hello(t, streams)), told.configure)
	conn := p.dial(upgradeRequest("POST /attach/abcdefgh HTTP/1.1") + streams)
	r := bufio.NewReader(conn)
	head(t, r)
	greeted(t, conn, r)
	told.next(t)
	for field, want := range map[string]string{"verb": "attach", "protocol": "spdy", "stdout": "5", "end_reason": "client-closed", "duration": "s"} {
		lines := p.logs.FilterMessage("session ended").All()
		if len(lines) != 1 {
			t.Fatalf("%d lines", len(lines))
		}
		if got := fmt.Sprint(lines[0].ContextMap()[field]); !strings.Contains(got, want) {
			t.Errorf("%s=%s, want %s", field, got, want)
		}
	}
}

// What a client sends in place of a request may be a token, or what was typed.
func TestTheLogHasNoWordOfWhatIsNoHTTP(t *testing.T) {
	const secret = "hunter2"
	for name, said := range map[string]string{
		"a request's line":        secret + "\r\n\r\n",
		"a request's method":      "GET" + secret + "@ / HTTP/1.1\r\n\r\n",
		"a request's path":        "GET /%zz" + secret + " HTTP/1.1\r\n\r\n",
		"a request's version":     "GET / HTTP/" + secret + "\r\n\r\n",
		"a header's line":         "GET / HTTP/1.1\r\n" + secret + "\r\n\r\n",
		"a header's name":         "GET / HTTP/1.1\r\n" + secret + "@: x\r\n\r\n",
		"a length":                "POST / HTTP/1.1\r\nContent-Length: " + secret + "\r\n\r\n",
		"a chunk":                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"a trailer":               "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + secret + "\r\n\r\n",
		"an encoding of a body":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"what the target answers": "GET /" + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, newPeer(t, func(conn *net.TCPConn) {
				_, _ = conn.Read(make([]byte, 1))
				_, _ = io.WriteString(conn, secret+"\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn)
			}), nil)
			conn := p.dial(said)
			_ = conn.CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			for len(p.logs.FilterMessage("connection ended before an upgrade").All()) == 0 {
				time.Sleep(time.Millisecond)
			}
			for _, line := range p.logs.All() {
				if all := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(all, secret) {
					t.Errorf("the log: %s", all)
				}
			}
		})
	}
}
