package identify_test

import (
	"os"
	"path/filepath"
	"testing"

	"exectape/identify"
	"exectape/session"
)

// alike are two sessions that start at once, and their execs in a and b, of which
// it is not known which has which.
type alike struct {
	*state
	r          *identify.Resolver
	one, other *client
	ina, inb   string // the directories of the FIFOs
}

// twoAlike starts them by SPDY, or over WebSocket.
func twoAlike(t *testing.T, begin func(*identify.Resolver) *client) *alike {
	t.Helper()
	s, r := twoContainers(t)
	s.writesPids(r)
	w := &alike{state: s, r: r, one: begin(r), other: begin(r)}
	w.ina, w.inb = s.made("a", "e1", shell), s.made("b", "e2", shell)
	r.CatchUp()
	s.started("a", "e1")
	s.started("b", "e2")
	r.CatchUp()
	return w
}

var beginnings = map[string]func(*identify.Resolver) *client{
	"SPDY": func(r *identify.Resolver) *client {
		c := exec(r)
		c.opens(shell.streams()...)
		return c
	},
	"WebSocket": func(r *identify.Resolver) *client {
		c := &client{Tracer: r.Trace("exec", true)}
		c.Pass()
		return c
	},
}

// passes has something written to a FIFO, and read.
func (s *state) passes(directory, fifo string) {
	s.t.Helper()
	file, err := os.OpenFile(filepath.Join(directory, fifo), os.O_RDWR, 0)
	s.must(err)
	defer func() { _ = file.Close() }()
	_, err = file.WriteString("x")
	s.must(err)
	_, err = file.Read(make([]byte, 1))
	s.must(err)
}

func (c *client) types() {
	c.See(session.Event{Kind: session.Input, Stream: session.Stdin, Data: []byte("x")})
}

func TestWhoeverShowsSomethingHasAnExecThatWasRead(t *testing.T) {
	for protocol, begin := range beginnings {
		t.Run(protocol, func(t *testing.T) {
			w := twoAlike(t, begin)
			w.passes(w.inb, "e2-stdout")
			w.one.shows()
			w.other.shows()
			w.one.want(t, "exact shop/web/b")
			w.other.want(t, "exact shop/web/a")
		})
	}
}

// Who is busy may take long to make something of what happens.
func TestWhatHappensBehindASessionsOutputIsNotTakenForItsBeginning(t *testing.T) {
	w := twoAlike(t, beginnings["SPDY"])
	w.passes(w.inb, "e2-stdout")
	release := w.r.Busy()
	shown := make(chan struct{})
	go func() { w.one.shows(); close(shown) }()
	until(t, "the session has heard what happened before", func() bool {
		unheard, err := w.r.UnheardOfExecs()
		w.must(err)
		return unheard == 0
	})
	w.passes(w.ina, "e1-stdout")
	release()
	<-shown
	w.other.shows()
	w.one.want(t, "exact shop/web/b")
	w.other.want(t, "exact shop/web/a")
}

func TestAnExecThatIsToldSomethingIsOfWhoeverTyped(t *testing.T) {
	for protocol, begin := range beginnings {
		t.Run(protocol, func(t *testing.T) {
			w := twoAlike(t, begin)
			w.one.types()
			w.passes(w.inb, "e2-stdin")
			w.r.CatchUp()
			w.one.shows()
			w.other.shows()
			w.one.want(t, "exact shop/web/b")
			w.other.want(t, "exact shop/web/a")
		})
	}
}

func TestWhatBothDoTellsNothing(t *testing.T) {
	w := twoAlike(t, beginnings["SPDY"])
	for _, c := range []*client{w.one, w.other} {
		c.types()
	}
	w.passes(w.ina, "e1-stdin")
	w.passes(w.ina, "e1-stdout")
	w.passes(w.inb, "e2-stdout")
	w.one.shows()
	w.other.shows()
	w.one.want(t, "ambiguous a b")
	w.other.want(t, "ambiguous a b")
}

// Nobody says that the kernel tells of FIFOs, or that they were watched in time.
func TestThatNothingWasSeenToBeReadTellsNothing(t *testing.T) {
	w := twoAlike(t, beginnings["SPDY"])
	w.one.shows()
	w.one.want(t, "ambiguous a b")

	s, r := twoContainers(t)
	s.writesPids(r)
	one, other := beginnings["SPDY"](r), beginnings["SPDY"](r)
	s.fifos("a", "e1", shell) // which has its pid before anybody looks
	inb := s.fifos("b", "e2", shell)
	r.CatchUp()
	s.passes(inb, "e2-stdout")
	one.shows()
	one.want(t, "ambiguous a b")
	other.shows()
	other.want(t, "ambiguous a b")
}

func TestTheWatchesOfFIFOsGoWithWhatTheyAreFor(t *testing.T) {
	s, r := twoContainers(t)
	before := r.Stats().Watches
	one, other := beginnings["SPDY"](r), beginnings["SPDY"](r)
	ina, inb := s.fifos("a", "e1", shell), s.fifos("b", "e2", shell)
	r.CatchUp()
	if n := r.Stats().Watches; n != before+4 {
		t.Errorf("%d watches, want %d for two execs", n, before+4)
	}
	s.passes(ina, "e1-stdout")
	s.must(os.RemoveAll(ina))
	s.must(os.RemoveAll(inb))
	one.exits()
	other.exits()
	r.CatchUp()
	if n := r.Stats().Watches; n != before {
		t.Errorf("%d watches are left, want %d", n, before)
	}
}
