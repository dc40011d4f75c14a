package session

import (
	"cmp"
	"errors"
	"fmt"
	"math"
)

// A Decoder understands the bytes of one session, both directions of it. It
// has no clock, does no I/O and is not safe for concurrent use: [Conn] guards
// it, because what the client opens types what the server sends.
type Decoder interface {
	// Feed decodes p, the next bytes that passed from one side, all of it, and
	// emits an event for everything that p completes. Events point into p.
	// Its only error is *[Undecodable]; afterwards that direction is not fed
	// again, the other one is.
	Feed(from Direction, p []byte, emit func(Event)) error

	// Pending returns 0 if the bytes fed so far from one side end at a frame's
	// boundary, and otherwise how many bytes, at least 1, can be fed without
	// reaching beyond the next boundary.
	Pending(from Direction) int

	// Begun returns how many of the bytes fed so far from one side belong to a
	// frame that is not complete, if that can be told, or more.
	Begun(from Direction) int

	// Farewell returns bytes that, sent to the client at a frame's boundary,
	// tell it in its own protocol that the session failed and why. It returns
	// nil where the protocol has no place for that yet.
	Farewell(sentence string) []byte
}

// Undecodable is the error of a Decoder: from the beginning of some frame on,
// the bytes of one direction can't be understood.
type Undecodable struct {
	From   Direction
	Offset int64  // where that frame begins, counted from the upgrade
	Rest   []byte // all bytes from there to the end of what was fed
	Err    error
}

func (u *Undecodable) Error() string {
	return fmt.Sprintf("%v byte %d: %v", u.From, u.Offset, u.Err)
}

func (u *Undecodable) Unwrap() error { return u.Err }

// Opaque is the Decoder of what can't be decoded from the first byte on, such
// as a protocol that exectape does not speak: all of it is kept raw.
type Opaque struct {
	Why error // nil: it is such a protocol
}

// Feed implements [Decoder].
func (o Opaque) Feed(from Direction, p []byte, _ func(Event)) error {
	return &Undecodable{From: from, Rest: p, Err: cmp.Or(o.Why, errOpaque)}
}

// Pending implements [Decoder].
func (Opaque) Pending(Direction) int { return 1 }

// Begun implements [Decoder].
func (Opaque) Begun(Direction) int { return math.MaxInt }

// Farewell implements [Decoder].
func (Opaque) Farewell(string) []byte { return nil }

var errOpaque = errors.New("a protocol that is not decoded")
