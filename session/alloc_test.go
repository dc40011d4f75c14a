package session_test

import (
	"net"
	"testing"
	"time"

	"exectape/session"
)

func TestWhatPassesAllocatesNothing(t *testing.T) {
	c := session.NewConn(drain{}, session.Info{Start: time.Now()}, passing{}, nobody{}, session.FailOpen)
	p := make([]byte, 4096)
	n := testing.AllocsPerRun(100, func() {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for each write", n)
	}
}

// drain takes what is written to it.
type drain struct{ net.Conn }

func (drain) Write(p []byte) (int, error) { return len(p), nil }
func (drain) CloseWrite() error           { return nil }

// passing is a protocol in which everything is output.
type passing struct{}

func (passing) Feed(from session.Direction, p []byte, emit func(session.Event)) error {
	emit(session.Event{Kind: session.Output, Stream: session.Stdout, From: from, Data: p})
	return nil
}

func (passing) Pending(session.Direction) int { return 0 }
func (passing) Begun(session.Direction) int   { return 0 }
func (passing) Farewell(string) []byte        { return nil }

// nobody keeps nothing.
type nobody struct{}

func (nobody) Record(session.Event) error { return nil }
func (nobody) Commit(func(error)) error   { return nil }
func (nobody) Close(session.End) error    { return nil }
