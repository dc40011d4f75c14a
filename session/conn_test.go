package session_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"exectape/session"
)

// frames is a protocol of frames of four bytes, each of which is output;
// "!!!!" can't be decoded. Its farewell is "bye:" and the sentence.
type frames struct {
	partial [2][]byte
	offset  [2]int64
}

func (f *frames) Feed(from session.Direction, p []byte, emit func(session.Event)) error {
	for i := range p {
		f.partial[from] = append(f.partial[from], p[i])
		if len(f.partial[from]) < 4 {
			continue
		}
		if string(f.partial[from]) == "!!!!" {
			return &session.Undecodable{From: from, Offset: f.offset[from], Rest: append(f.partial[from], p[i+1:]...), Err: errors.New("shouting")}
		}
		emit(session.Event{Kind: session.Output, Stream: session.Stdout, From: from, Data: f.partial[from]})
		f.offset[from] += 4
		f.partial[from] = nil
	}
	return nil
}

func (f *frames) Pending(from session.Direction) int {
	if n := len(f.partial[from]); n > 0 {
		return 4 - n
	}
	return 0
}

func (f *frames) Begun(from session.Direction) int { return len(f.partial[from]) }

func (f *frames) Farewell(sentence string) []byte { return []byte("bye:" + sentence) }

// journal writes down in which order things happen.
type journal struct {
	mu    sync.Mutex
	lines []string
	err   error // what Record answers
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) Record(e session.Event) error {
	kind := "output"
	switch e.Kind {
	case session.Raw:
		kind = "raw"
	case session.Met:
		j.add("met %s", e.Peer.Name)
		return j.err
	}
	j.add("%s %v %s", kind, e.From, e.Data)
	return j.err
}

func (j *journal) Commit(func(error)) error { j.add("commit"); return nil }
func (j *journal) Close(session.End) error  { return nil }
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "; ")
}

// wire is one end of a connection in memory that can be half-closed in name
// only.
type wire struct{ net.Conn }

func (w wire) CloseWrite() error { return nil }

// newConn returns a recording connection, the target behind it, and what it
// wrote down.
func newConn(t *testing.T) (*session.Conn, net.Conn, *journal) {
	t.Helper()
	return newConnWith(t, session.FailOpen)
}

func newConnWith(t *testing.T, policy session.Policy) (*session.Conn, net.Conn, *journal) {
	t.Helper()
	here, target := net.Pipe()
	j := &journal{}
	c := session.NewConn(wire{here}, session.Info{Start: time.Now()}, &frames{}, j, policy)
	t.Cleanup(func() { _ = c.Close(); _ = target.Close() })
	return c, target, j
}

func send(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Error(err)
	}
}

func receive(t *testing.T, r io.Reader) string {
	t.Helper()
	b := make([]byte, 100)
	n, err := r.Read(b)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return string(b[:n])
}

func TestOutputIsCommittedBeforeItIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, j := newConn(t)
		go send(t, target, "abcdef")
		if got := receive(t, c); got != "abcdef" {
			t.Errorf("read %q", got)
		}
		if got, want := j.String(), "output server abcd; commit"; got != want {
			t.Errorf("by then: %s; want %s", got, want)
		}
	})
}

func TestTheClientsBytesAreDecodedBeforeTheyArePassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, j := newConn(t)
		go send(t, c, "abcd")
		synctest.Wait() // the target has not read yet
		if got, want := j.String(), "output client abcd; commit"; got != want {
			t.Errorf("by then: %s; want %s", got, want)
		}
		if got := receive(t, target); got != "abcd" {
			t.Errorf("the target read %q", got)
		}
	})
}

func TestADirectionThatCantBeDecodedIsKeptRawAndTheOtherIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, j := newConn(t)
		c.Undecoded = func(u *session.Undecodable) { j.add("told of %v", u) }
		go func() { _, _ = io.Copy(io.Discard, target) }()
		for _, s := range []string{"abcd!!", "!!xyz", "more"} {
			send(t, c, s)
		}
		go send(t, target, "efgh")
		receive(t, c)
		want := "output client abcd; commit; raw client !!!!xyz; told of client byte 4: shouting; commit; raw client more; commit; output server efgh; commit"
		if got := j.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestASessionGoesOnWhenItCantBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, j := newConn(t)
		j.err = errors.New("disk full")
		go send(t, target, "abcd")
		if got := receive(t, c); got != "abcd" {
			t.Errorf("read %q", got)
		}
		if err := c.Report().RecordError; !errors.Is(err, j.err) {
			t.Errorf("reported: %v", err)
		}
	})
}

func TestEnd(t *testing.T) {
	tests := []struct {
		name   string
		before string // what the target had sent
		after  string // what it sends on
		want   string // all that the client reads
		detail string
	}{
		{"between frames", "abcd", "", "abcdbye:enough", "enough"},
		{"inside a frame", "abcde", "fghijkl", "abcdefghbye:enough", "enough"},
		{"inside a frame that never ends", "abcde", "", "abcde", "enough (the client could not be told)"},
		{"in what can't be decoded", "!!!!", "", "!!!!", "enough (the client could not be told)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, target, _ := newConn(t)
				go send(t, target, test.before)
				got := receive(t, c)
				c.End("enough")
				go func() { _, _ = io.WriteString(target, test.after) }()
				rest, err := io.ReadAll(c)
				if got += string(rest); got != test.want || err != nil {
					t.Errorf("the client read %q, %v; want %q", got, err, test.want)
				}
				if r := c.Report(); r.End.Reason != session.EndByUs || r.End.Detail != test.detail {
					t.Errorf("end = %+v", r.End)
				}
				if n, err := c.Write([]byte("typed on")); n != 8 || err != nil {
					t.Errorf("what the client sends afterwards: %d, %v", n, err)
				}
			})
		})
	}
}

func TestAClosedPolicyEndsWhatCantBeRecorded(t *testing.T) {
	const said = "bye:exectape ended this session because it could not be recorded: "
	diskFull := errors.New("disk full")
	tests := []struct {
		name          string
		err           error  // of the recorder
		client        string // what the client sends
		before, after string // what the target sends, in two parts
		want          string // all that the client reads
		passed        string // all that the target reads
	}{
		{"the client's bytes", nil, "abcd!!!!", "efgh", "", "efgh" + said + "client byte 4: shouting", ""},
		{"the target's bytes", nil, "", "abcd", "efgh!!!!", "abcd" + said + "server byte 8: shouting", ""},
		{"the target's bytes, inside a frame", nil, "", "abcdef", "gh!!!!", "abcd" + said + "server byte 8: shouting", ""},
		{"the sink", diskFull, "", "", "abcd", said + "disk full", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, target, j := newConnWith(t, session.FailClosed)
				j.err = test.err
				passed := make(chan string, 1)
				go func() { b, _ := io.ReadAll(target); passed <- string(b) }()
				var got string
				if test.before != "" {
					go send(t, target, test.before)
					got = receive(t, c)
				}
				if test.client != "" {
					send(t, c, test.client)
				}
				go func() { _, _ = io.WriteString(target, test.after) }()
				rest, err := io.ReadAll(c)
				if got += string(rest); got != test.want || err != nil {
					t.Errorf("the client read %q, %v; want %q", got, err, test.want)
				}
				_ = c.Close()
				if got := <-passed; got != test.passed {
					t.Errorf("the target read %q, want %q", got, test.passed)
				}
				if r := c.Report(); r.End.Reason != session.EndByUs {
					t.Errorf("end = %+v", r.End)
				}
			})
		})
	}
}

func TestEndWakesAReadThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := newConn(t)
		got := make(chan string)
		go func() { got <- receive(t, c) }()
		synctest.Wait()
		c.End("enough")
		if words := <-got; words != "bye:enough" {
			t.Errorf("read %q", words)
		}
	})
}

// An ender is a target that goes away in the moment in which the session is
// ended.
type ender struct {
	wire
	end func()
}

func (e *ender) Read([]byte) (int, error) { e.end(); return 0, io.EOF }

func TestATargetThatGoesAwayDoesNotKeepTheClientFromBeingTold(t *testing.T) {
	here, _ := net.Pipe()
	target := &ender{wire: wire{here}}
	c := session.NewConn(target, session.Info{Start: time.Now()}, &frames{}, &journal{}, session.FailOpen)
	target.end = func() { c.End("enough") }
	if got, err := io.ReadAll(c); string(got) != "bye:enough" || err != nil {
		t.Errorf("the client read %q, %v", got, err)
	}
	if detail := c.Report().End.Detail; detail != "enough" {
		t.Errorf("detail = %q", detail)
	}
}

func TestAnEndingIsNotPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, _ := newConn(t)
		go send(t, target, "abcde")
		receive(t, c)
		c.End("enough")
		begin := time.Now()
		go func() {
			synctest.Wait() // until the rest of the frame is waited for
			_ = c.SetReadDeadline(begin.Add(time.Hour))
		}()
		if _, err := io.ReadAll(c); err != nil {
			t.Error(err)
		}
		if waited := time.Since(begin); waited >= time.Hour {
			t.Errorf("the session was ended %v late", waited)
		}
	})
}

func TestWhoReadsNothingIsNotTold(t *testing.T) {
	c, _, _ := newConn(t)
	c.End("enough")
	if got, want := c.Report().End.Detail, "enough (the client could not be told)"; got != want {
		t.Errorf("detail = %q, want %q", got, want)
	}
}

func TestReportSaysWhoWentFirst(t *testing.T) {
	tests := []struct {
		name string
		end  func(c *session.Conn, target net.Conn)
		want session.EndReason
	}{
		{"the target", func(c *session.Conn, target net.Conn) {
			_ = target.Close()
			_, _ = c.Read(make([]byte, 1))
			_ = c.CloseWrite()
		}, session.EndTarget},
		{"the client", func(c *session.Conn, target net.Conn) {
			_ = c.CloseWrite()
			_ = target.Close()
			_, _ = c.Read(make([]byte, 1))
		}, session.EndClient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, target, _ := newConn(t)
			test.end(c, target)
			if got := c.Report().End.Reason; got != test.want {
				t.Errorf("reason = %q, want %q", got, test.want)
			}
		})
	}
}

func TestStreamNames(t *testing.T) {
	for _, s := range []session.Stream{session.Stdin, session.Stdout, session.Stderr, session.ErrorStream, session.ResizeStream} {
		if got, ok := session.ParseStream(s.String()); got != s || !ok {
			t.Errorf("ParseStream(%q) = %v, %v", s, got, ok)
		}
	}
	for _, name := range []string{"", "none", "Stdout", "stdout "} {
		if got, ok := session.ParseStream(name); ok {
			t.Errorf("ParseStream(%q) = %v", name, got)
		}
	}
}

func TestAClosedPolicyHandsFramesOnWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, _ := newConnWith(t, session.FailClosed)
		for _, step := range []struct{ sent, want string }{
			{"aaaabb", "aaaa"},
			{"bbccccd", "bbbbcccc"},
			{"ddd", "dddd"},
		} {
			go send(t, target, step.sent)
			if got := receive(t, c); got != step.want {
				t.Errorf("behind %q the client got %q, want %q", step.sent, got, step.want)
			}
		}
		go func() { send(t, target, "ee"); _ = target.Close() }()
		if got, err := io.ReadAll(c); string(got) != "ee" || err != nil {
			t.Errorf("before the end the client got %q, %v", got, err)
		}
	})
}

func TestAClosedPolicyTellsTheClientWhereverTheRecorderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, j := newConnWith(t, session.FailClosed)
		go send(t, target, "aaaabb")
		if got := receive(t, c); got != "aaaa" {
			t.Errorf("the client got %q", got)
		}
		j.err = errors.New("the disk is full")
		go send(t, target, "bb")
		got, err := io.ReadAll(c)
		if want := "bye:exectape ended this session because it could not be recorded: the disk is full"; string(got) != want || err != nil {
			t.Errorf("then the client got %q, %v, want %q", got, err, want)
		}
	})
}

func TestWhatAFrameBeginsWithAndAnIdleClientGotIsNoPlaceForAFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, _ := newConnWith(t, session.FailClosed)
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		go send(t, target, "aaaabb")
		for _, want := range []string{"aaaa", "bb"} {
			if got := receive(t, c); got != want {
				t.Errorf("the client got %q, want %q", got, want)
			}
		}
		c.End("stop")
		go func() { _, _ = io.WriteString(target, "bb") }()
		if got, err := io.ReadAll(c); string(got) != "bbbye:stop" || err != nil {
			t.Errorf("then the client got %q, %v; want the rest of the frame, and the farewell", got, err)
		}
	})
}

func TestAtItsBoundaryAnEndingSessionWaitsForNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, _ := newConn(t)
		go send(t, target, "aaaabb")
		receive(t, c)
		c.End("stop")
		go send(t, target, "bb")
		receive(t, c)
		began := time.Now()
		// As a copier does that takes no buffer before there is something to read.
		if _, err := c.Duplex.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Equal(began) {
			t.Errorf("a silent target was waited for, for %s: %v", time.Since(began), err)
		}
		if got, err := io.ReadAll(c); string(got) != "bye:stop" || err != nil {
			t.Errorf("then the client got %q, %v", got, err)
		}
	})
}
