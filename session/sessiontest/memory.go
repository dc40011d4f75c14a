package sessiontest

import (
	"cmp"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"exectape/session"
)

// maxHeld is what a session may hold, whatever its peers send, and maxKeptBack
// what it may hold more if it hands on only whole frames.
const (
	maxHeld     = 512 << 10
	maxKeptBack = 128 << 10
)

// Sessions are side by side, and in each of them the same is said.
type Sessions struct {
	Policy   session.Policy
	Decoder  func() session.Decoder
	Recorder func() session.Recorder // nil: one that keeps nothing
	Pieces   []Piece
	Step     int // how much comes at once; 0: as much as io.Copy takes
}

// A memory is what one session takes of it, without its copiers' buffers.
type memory struct {
	held      int64 // at the most, between two pieces
	burst     int64 // asked for while a piece passes, at the most; most of it is let go again
	allocated int64 // ever asked for
}

// HoldLittle fails the test if one of the sessions ever holds more than it may.
func (s Sessions) HoldLittle(t *testing.T) {
	t.Helper()
	most := int64(maxHeld)
	if s.Policy == session.FailClosed {
		most += maxKeptBack
	}
	if m := s.measure(); m.held+m.burst > most {
		t.Errorf("a session holds %d bytes, and then asks for %d more at once; it may hold %d", m.held, m.burst, most)
	}
}

// Report reports what a session takes.
func (s Sessions) Report(b *testing.B) {
	b.Helper()
	var m memory
	for b.Loop() {
		m = s.measure()
	}
	b.ReportMetric(0, "ns/op") // of several sessions, and of looking at them
	b.ReportMetric(float64(m.held), "B-held/session")
	b.ReportMetric(float64(m.burst), "B-burst/session")
	b.ReportMetric(float64(m.allocated), "B-allocated/session")
}

func (s Sessions) measure() (m memory) {
	step := cmp.Or(s.Step, 32<<10)
	pieces := Recut(s.Pieces, func() int { return step })
	buffer := make([]byte, step)
	const n = 2
	var played [n]*player
	held, before := heap(true)
	for i := range played {
		played[i] = newPlayer(s)
	}
	const looks = 32
	for i, piece := range pieces {
		_, start := heap(false)
		for _, p := range played {
			p.play(piece, buffer)
		}
		_, end := heap(false)
		m.burst = max(m.burst, (end-start)/n)
		if i%(len(pieces)/looks+1) == 0 || i == len(pieces)-1 {
			now, _ := heap(true)
			m.held = max(m.held, (now-held)/n)
		}
	}
	_, after := heap(false)
	m.allocated = (after - before) / n
	runtime.KeepAlive(&played)
	return m
}

// heap returns how many bytes of it are in use, and were ever asked for.
func heap(collect bool) (used, ever int64) {
	if collect {
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc), int64(stats.TotalAlloc)
}

// A player is a session whose peers say what it is told they do.
type player struct {
	conn   *session.Conn
	target *target
}

func newPlayer(s Sessions) *player {
	var recorder session.Recorder = nobody{}
	if s.Recorder != nil {
		recorder = s.Recorder()
	}
	p := &player{target: &target{}}
	p.conn = session.NewConn(p.target, session.Info{Start: time.Now()}, s.Decoder(), recorder, s.Policy)
	return p
}

func (p *player) play(piece Piece, buffer []byte) {
	if piece.From == session.FromClient {
		_, _ = p.conn.Write(piece.Data) // to a target that takes everything
		return
	}
	p.target.says = piece.Data
	for len(p.target.says) > 0 {
		if _, err := p.conn.Read(buffer); errors.Is(err, io.EOF) {
			return // the session was ended
		}
	}
}

// target is a session's target. It takes everything and says what it is told to.
type target struct {
	net.Conn // nil
	says     []byte
}

// Read implements [io.Reader].
func (t *target) Read(p []byte) (int, error) {
	n := copy(p, t.says)
	t.says = t.says[n:]
	return n, nil
}

// Write implements [io.Writer].
func (t *target) Write(p []byte) (int, error) { return len(p), nil }

// SetReadDeadline is [net.Conn]'s: nothing here is waited for.
func (t *target) SetReadDeadline(time.Time) error { return nil }

// CloseWrite implements [session.Duplex].
func (t *target) CloseWrite() error { return nil }

// nobody is a Recorder that keeps nothing.
type nobody struct{}

func (nobody) Record(session.Event) error { return nil }
func (nobody) Commit(func(error)) error   { return nil }
func (nobody) Close(session.End) error    { return nil }
