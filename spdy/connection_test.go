package spdy_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/spdy"

	"github.com/moby/spdystream"
	ref "github.com/moby/spdystream/spdy"
	"go.uber.org/goleak"
)

// What a whole server, with its workers and its queues, hands to whoever reads
// a stream is what we record of it, up to where the client ended the stream.
func TestWhatAServerDeliversIsRecorded(t *testing.T) {
	for _, c := range captures(t) {
		delivers(t, input{name: c.Name, stream: sessiontest.Joined(c.Pieces)[0].Data})
	}
	for _, in := range corpus(t, "FuzzClientAgainstSpdystream") {
		delivers(t, in)
	}
}

// Behind a limit of ours the rest of the direction is kept raw, so the server may
// deliver more on a stream that we know. One that it opens there is unknown to
// us: what it says on that has to be kept raw as well.
func delivers(t *testing.T, in input) {
	t.Run(in.name, func(t *testing.T) {
		defer goleak.VerifyNone(t)
		s := subject{decoder: right}
		d := s.decoder()
		ours := s.read(d, session.FromClient, in.stream, nil)
		sent, limited := sent(ours.frames), isLimit(ours.gaveUp)
		for _, cuts := range []cuts{nil, in.cuts} {
			for id, got := range deliver(t, in.stream, cuts) {
				want := sent[id]
				switch {
				case want == nil && limited:
					var f findings
					f.answer(t, s, d, opened{id: id})
					for _, finding := range f {
						t.Error(finding)
					}
				case want == nil:
					t.Errorf("stream %d: the server delivered %q, and we don't know it", id, got)
				case bytes.HasPrefix(want.data, got), bytes.HasPrefix(slices.Concat(want.early, want.data), got):
				case (want.ended || limited) && bytes.HasPrefix(got, want.data):
				default:
					t.Errorf("stream %d: the server delivered %q, we recorded %q", id, got, want.data)
				}
			}
		}
	})
}

// sending is what a client sent on a stream until it ended that.
type sending struct {
	early []byte // before it opened the stream: a worker may come to this after that
	data  []byte
	ended bool
}

func sent(frames []spdy.Frame) map[uint32]*sending {
	streams := map[uint32]*sending{}
	early := map[uint32][]byte{}
	all, _ := accepted(frames)
	for i, f := range frames {
		s := streams[f.ID]
		switch kind := ref.ControlFrameType(f.Kind); {
		case kind == ref.TypeSynStream && s == nil:
			if slices.Contains(all, opened{f.ID, f.StreamType}) {
				streams[f.ID] = &sending{early: early[f.ID], ended: f.Flags&1 != 0}
			}
		case s == nil && kind == 0:
			early[f.ID] = append(early[f.ID], f.Data...)
		case s == nil || s.ended:
		case kind == 0:
			s.data = append(s.data, frames[i].Data...)
			s.ended = f.Flags&1 != 0
		case kind == ref.TypeRstStream:
			s.ended = true
		case kind == ref.TypeHeaders:
			s.ended = f.Flags&1 != 0
		}
	}
	return streams
}

// deliver runs a server over a client's bytes, and returns what it delivers on
// each stream.
func deliver(t *testing.T, stream []byte, cuts cuts) map[uint32][]byte {
	t.Helper()
	wire := newClient(t, stream, cuts)
	conn, err := spdystream.NewConnection(wire, true)
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu      sync.Mutex // guards got
		got     = map[uint32][]byte{}
		readers sync.WaitGroup
	)
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn.Serve(func(s *spdystream.Stream) {
			_ = s.SendReply(nil, false) // our Write takes everything
			readers.Go(func() {
				b, _ := io.ReadAll(s)
				mu.Lock()
				defer mu.Unlock()
				got[s.Identifier()] = b
			})
			readers.Go(func() { // headers that nobody takes would block a worker
				for {
					if _, err := s.ReceiveHeader(); err != nil {
						return
					}
				}
			})
		})
		readers.Wait()
	}()
	select {
	case <-served:
	case <-time.After(patience):
		t.Fatal("the server did not end")
	}
	return got
}

const patience = time.Minute

// A client is a connection from which a server reads a client's bytes. Before
// those that end its reading it reads a PING for each of its workers, and no
// more until all are answered: what came before has been dealt with.
type client struct {
	net.Conn // panics: the server only reads, writes and closes
	before   *cutReader
	after    *cutReader

	mu       sync.Mutex // guards what follows
	answers  bytes.Buffer
	answered chan struct{}
	done     bool
}

// firstPing is odd, as a client's are, and no capture's.
const firstPing = 1<<31 - 101

func newClient(t *testing.T, stream []byte, cuts cuts) *client {
	t.Helper()
	v := reference(t, stream, cuts)
	last := v.stopped
	for _, f := range slices.Backward(v.frames) {
		if f.Kind == uint16(ref.TypeGoAway) {
			last = f.Offset
		}
	}
	var pings []draft
	for i := range uint32(spdystream.FRAME_WORKERS) {
		pings = append(pings, ping(firstPing+2*i))
	}
	return &client{
		before:   &cutReader{b: slices.Concat(stream[:last], assemble(t, pings, zlib.DefaultCompression)), cuts: cuts},
		after:    &cutReader{b: stream[last:], cuts: cuts},
		answered: make(chan struct{}),
	}
}

// Read implements [net.Conn].
func (c *client) Read(p []byte) (int, error) {
	n, err := c.before.Read(p)
	if err == nil {
		return n, nil
	}
	select {
	case <-c.answered:
		return c.after.Read(p)
	case <-time.After(patience):
		return 0, os.ErrDeadlineExceeded
	}
}

// Write implements [net.Conn].
func (c *client) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers.Write(p)
	pongs := 0
	for _, f := range spdy.Frames(c.answers.Bytes()) {
		if f.Kind == uint16(ref.TypePing) && f.ID >= firstPing {
			pongs++
		}
	}
	if pongs == spdystream.FRAME_WORKERS && !c.done {
		c.done = true
		close(c.answered)
	}
	return len(p), nil
}

// Close implements [net.Conn].
func (c *client) Close() error { return nil }
