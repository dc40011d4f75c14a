package session

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A Duplex is a connection of which one direction can end before the other,
// such as *net.TCPConn.
type Duplex interface {
	net.Conn
	CloseWrite() error
}

// Conn is the recording connection: a session's connection to its target, of
// which everything that is read (what the runtime sends) and written (what the
// client sends) is first decoded and recorded, and then handed on unchanged.
//
// Read is for one goroutine and Write for another. Its owner closes it, and the
// Recorder after it.
//
// When the Recorder hangs, Read or Write does, and in the end returns
// [ErrOverdue] to a goroutine that is not needed any more: Conn starts another
// one, which calls Successor.
type Conn struct {
	Duplex // the target

	// Successor goes on with a direction. It passes on first, which is
	// recorded, and then all that comes. It is set before the first Read and
	// Write; if it is nil, they wait for the Recorder for as long as it takes.
	Successor func(from Direction, first []byte)

	// Undecoded is told of a direction that is kept raw from now on, by the
	// goroutine whose it is. It is set before the first Read and Write; nil:
	// nobody is told.
	Undecoded func(*Undecodable)

	rec    Recorder
	tracer Tracer
	policy Policy
	info   Info
	feed   func(Event) // emit, bound once
	held   [2]held     // by direction: each belongs to the goroutine of its own

	meeting <-chan Peer // guarded by mu; nil: nobody asks, or it is known

	// Read's: whole frames to be handed on, the beginning of one, and what both
	// are in.
	ready, partial, room []byte

	mu     sync.Mutex // guards all below: the two directions share the decoder
	dec    Decoder
	now    time.Duration   // when the bytes being decoded passed
	broken [2]*Undecodable // by direction: kept raw from there on
	exit   *Exit           // the last Status
	tty    *bool           // nil: not known
	stdout passed
	stderr passed
	recErr error     // the first that the recorder answered
	first  EndReason // who went away first
	whose  Identity  // as far as is known
	peer   *Peer     // nil: not known
	clean  bool      // what was handed to the client ends at a frame's boundary
	ending *ending   // set by End
}

// NewConn returns the recording connection to target of the session that info
// describes.
func NewConn(target Duplex, info Info, dec Decoder, rec Recorder, policy Policy) *Conn {
	c := &Conn{Duplex: target, rec: rec, tracer: Untraced{}, policy: policy, info: info, dec: dec, clean: true}
	c.feed = c.emit
	return c
}

// held is what a direction holds back until it is recorded.
type held struct {
	bytes   []byte
	dropped bool        // the session was over before they came
	overdue func(error) // goes on with them elsewhere; bound once
}

// Trace has tracer find out whose session it is, and closes it with the
// session. It is called before anything passes.
func (c *Conn) Trace(tracer Tracer) { c.tracer = tracer }

// Write records what the client sends and passes it on to the target.
func (c *Conn) Write(p []byte) (int, error) {
	switch pass, err := c.observe(FromClient, p); {
	case err != nil:
		return 0, err
	case !pass:
		return len(p), nil // the session is over: what still comes has no reader
	}
	c.tracer.Pass()
	return c.Duplex.Write(p)
}

// CloseWrite passes on that the client has nothing more to say.
func (c *Conn) CloseWrite() error {
	c.gone(EndClient)
	return c.Duplex.CloseWrite()
}

// Read records what the target sends before it returns it. In a session that
// was ended by [Conn.End] it returns the farewell and io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if n := c.give(p); n > 0 {
			return n, nil
		}
		room, words, over := c.leave(len(p))
		if over {
			if len(words) == 0 {
				return 0, io.EOF
			}
			return c.say(p, words), nil
		}
		n, err := c.Duplex.Read(p[:room])
		if n > 0 {
			switch pass, err := c.observe(FromServer, p[:n]); {
			case err != nil:
				return 0, err
			case !pass:
				continue
			}
			if n = c.whole(p, n); n > 0 {
				return n, nil // an error comes again
			}
			continue
		}
		if timeout := errors.Is(err, os.ErrDeadlineExceeded); err != nil {
			if !timeout {
				c.gone(EndTarget)
			}
			if c.interrupted(!timeout) {
				continue
			}
			if c.release() {
				continue
			}
		}
		return n, err
	}
}

// SetReadDeadline bounds Read. In a session that is ending it does nothing:
// that has a bound of its own.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return nil
	}
	return c.Duplex.SetReadDeadline(t)
}

// observe decodes and records p, and reports whether it may be passed on. An
// error says that another goroutine does that.
func (c *Conn) observe(from Direction, p []byte) (pass bool, err error) {
	h := &c.held[from]
	if h.overdue == nil && c.Successor != nil {
		h.overdue = func(err error) { c.succeed(from, err) }
	}
	var undecoded *Undecodable
	c.mu.Lock()
	c.now = time.Since(c.info.Start)
	h.bytes, h.dropped = p, c.ending != nil && c.ending.said
	if !h.dropped {
		c.meet()
		c.identify()
		undecoded = c.decode(from, p)
	}
	c.mu.Unlock()
	if undecoded != nil && c.Undecoded != nil {
		c.Undecoded(undecoded)
	}
	if err := c.rec.Commit(h.overdue); !errors.Is(err, ErrOverdue) {
		return c.recorded(from, err), nil
	}
	return false, ErrOverdue
}

// succeed goes on in place of a goroutine that hangs in observe.
func (c *Conn) succeed(from Direction, err error) {
	var first []byte
	if c.recorded(from, err) {
		first = c.held[from].bytes
	}
	if from == FromClient && len(first) > 0 {
		c.tracer.Pass()
	}
	c.Successor(from, first)
}

// recorded reports whether what is held may be passed on, now that the
// Recorder's answer is known.
func (c *Conn) recorded(from Direction, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(err)
	if reason := c.failure(from); reason != "" {
		c.end("exectape ended this session because it could not be recorded: " + reason)
		return false
	}
	if from == FromServer {
		c.clean = c.broken[from] == nil && c.dec.Pending(from) == 0
		if c.clean && c.ending != nil {
			c.wake() // whoever waits for more before Read: the farewell is due
		}
	}
	return !c.held[from].dropped
}

// failure returns why the session may not go on in a direction, if it may not.
func (c *Conn) failure(from Direction) string {
	switch {
	case c.policy == FailOpen:
	case c.recErr != nil:
		return c.recErr.Error()
	case c.broken[from] != nil:
		return c.broken[from].Error()
	}
	return ""
}

// decode feeds the decoder, or keeps raw what it can't be fed. It returns why, if
// that begins here.
func (c *Conn) decode(from Direction, p []byte) (undecoded *Undecodable) {
	if c.broken[from] == nil {
		err := c.dec.Feed(from, p, c.feed)
		// Into a variable of its own this would allocate for all that passes.
		if !errors.As(err, &c.broken[from]) {
			return nil
		}
		undecoded = c.broken[from]
		p = undecoded.Rest
		undecoded.Rest = nil
	}
	c.emit(Event{Kind: Raw, From: from, Data: p})
	return undecoded
}

// emit hands one event of the decoder to the recorder, and before it what the
// event has made known of whose session it is.
func (c *Conn) emit(e Event) {
	e.At = c.now
	if e.Kind == Status {
		c.exit = e.Exit
	}
	c.tally(e)
	c.tracer.See(e)
	c.identify()
	if e.Kind != Accepted {
		c.note(c.rec.Record(e))
	}
}

// identify records whose session it is, if there is something new to say of it.
func (c *Conn) identify() {
	if whose := c.tracer.Identity(); whose != nil {
		c.whose = *whose
		c.note(c.rec.Record(Event{Kind: Identified, At: c.now, Identity: whose}))
	}
}

// note keeps the first error of the recorder. If the session may go on, what
// can't be recorded is a gap, which the recorder counts.
func (c *Conn) note(err error) {
	if c.recErr == nil {
		c.recErr = err
	}
}

// gone notes which side went away first.
func (c *Conn) gone(who EndReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == "" {
		c.first = who
	}
}
