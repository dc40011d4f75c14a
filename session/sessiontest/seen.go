package sessiontest

import (
	"bytes"
	"errors"
	"reflect"

	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

// Seen is what one direction of a session came to: parts of an output that
// follow each other are one.
type Seen []session.Event

// Add is a [session.Decoder]'s emit.
func (s *Seen) Add(e session.Event) {
	if e.Kind == session.Accepted {
		return // who waits for it sees the events themselves
	}
	e.Data = bytes.Clone(e.Data)
	if n := len(*s); n > 0 {
		switch last := &(*s)[n-1]; {
		case last.Kind != e.Kind || last.Stream != e.Stream:
		case len(last.Data) > 0 && len(e.Data) > 0:
			last.Data = append(last.Data, e.Data...)
			return
		}
	}
	*s = append(*s, e)
}

// Text returns the bytes of all events of kind, of stream if that is not 0.
func (s Seen) Text(kind session.Kind, stream session.Stream) (b []byte) {
	for _, e := range s {
		if e.Kind == kind && (stream == 0 || e.Stream == stream) {
			b = append(b, e.Data...)
		}
	}
	return b
}

// Sizes returns what the terminal was resized to.
func (s Seen) Sizes() (sizes []session.Size) {
	for _, e := range s {
		if e.Kind == session.Resize {
			sizes = append(sizes, e.Size)
		}
	}
	return sizes
}

// Exit returns the outcome, or nil if there is none.
func (s Seen) Exit() (exit *session.Exit) {
	for _, e := range s {
		if e.Kind == session.Status {
			exit = e.Exit
		}
	}
	return exit
}

// Decode feeds pieces to d and returns what each direction came to. One that
// can't be decoded is kept raw from there on, as session.Conn does it.
func Decode(d session.Decoder, pieces []Piece) (seen [2]Seen) {
	var broken [2]bool
	for _, p := range pieces {
		rest := p.Data
		if len(rest) == 0 {
			continue // nobody reads nothing
		}
		if !broken[p.From] {
			var u *session.Undecodable
			if !errors.As(d.Feed(p.From, p.Data, seen[p.From].Add), &u) {
				continue
			}
			broken[p.From] = true
			rest = u.Rest
		}
		seen[p.From].Add(session.Event{Kind: session.Raw, From: p.From, Data: rest})
	}
	return seen
}

// Difference is "" between equals. cmp takes seconds for a MiB that is kept raw,
// and go test ends a fuzzing process whose input takes ten.
func Difference[T Seen | [2]Seen](want, got T) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return cmp.Diff(want, got)
}
