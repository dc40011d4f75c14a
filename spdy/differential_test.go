package spdy_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/spdy"

	"github.com/google/go-cmp/cmp"
)

// A subject is what is held to spdystream: package spdy, or a decoder that is
// wrong on purpose.
type subject struct {
	decoder func() session.Decoder
	mistake func(stream []byte) []byte // what it takes a direction for; nil: for what it is
}

func (s subject) reads(stream []byte) []byte {
	if s.mistake == nil {
		return stream
	}
	return s.mistake(stream)
}

// findings are the properties that a subject lacks, and where. What spdystream
// accepts depends on how a stream is cut; that of every cut tried counts.
//
//	P1  each frame that its framer returns is one of ours, in order: type, id,
//	    flags, first streamtype, data
//	P2  each stream that its connection accepts is one of ours, and what the
//	    server says on it is recorded as what it is
//	P3  what its connection delivers on a stream is what we record of it:
//	    TestWhatAServerDeliversIsRecorded
//	P4  we give up no earlier than its framer does, or at one of our limits
//	P5  what the server sends is recorded, every data frame: as output, as the
//	    outcome, or raw
//	P6  what we record does not depend on the cuts
type findings []string

func (f *findings) add(property, format string, args ...any) {
	*f = append(*f, property+": "+fmt.Sprintf(format, args...))
}

// limits are where package spdy gives up and the server does not.
var limits = []string{"at most 65536 are decoded", "more than 256 streams"}

func isLimit(u *session.Undecodable) bool {
	return u != nil && slices.ContainsFunc(limits, func(l string) bool { return strings.Contains(u.Error(), l) })
}

// A reading is what a decoder made of one direction.
type reading struct {
	frames []spdy.Frame
	events sessiontest.Seen
	gaveUp *session.Undecodable
}

// read feeds d one direction in cuts.
func (s subject) read(d session.Decoder, from session.Direction, stream []byte, cuts cuts) (r reading) {
	pieces := cuts.pieces(s.reads(stream))
	for i, p := range pieces {
		if err := d.Feed(from, p, r.events.Add); err != nil {
			r.gaveUp = err.(*session.Undecodable)
			rest := bytes.Join(append([][]byte{r.gaveUp.Rest}, pieces[i+1:]...), nil)
			r.events.Add(session.Event{Kind: session.Raw, From: from, Data: rest})
			break
		}
	}
	r.frames = spdy.Frames(pieces...)
	r.frames = r.frames[:r.before(r.frames)]
	return r
}

// before counts the frames that begin before r gave up.
func (r *reading) before(frames []spdy.Frame) int {
	if r.gaveUp == nil {
		return len(frames)
	}
	n, _ := slices.BinarySearchFunc(frames, r.gaveUp.Offset, func(f spdy.Frame, offset int64) int { return int(f.Offset - offset) })
	return n
}

// compare holds a reading of stream to what the framer makes of it, in one
// piece and in cuts.
func (f *findings) compare(tb testing.TB, r reading, stream []byte, cut cuts) (best verdict) {
	tb.Helper()
	for _, cuts := range []cuts{nil, cut} {
		v := reference(tb, stream, cuts)
		if r.gaveUp != nil && !isLimit(r.gaveUp) && r.gaveUp.Offset < v.stopped {
			f.add("P4", "gave up (%v), the framer went on to byte %d in cuts % x", r.gaveUp, v.stopped, []byte(cuts))
		}
		if isLimit(r.gaveUp) {
			v.frames = v.frames[:r.before(v.frames)]
		}
		for i, want := range v.frames {
			if i == len(r.frames) || !sameFrame(r.frames[i], want) {
				f.add("P1", "frame %d of the framer in cuts % x is %+v; of ours: %+v", i, []byte(cuts), want, r.frames[i:min(i+1, len(r.frames))])
				break
			}
		}
		if len(v.frames) >= len(best.frames) {
			best = v
		}
	}
	return best
}

// same holds the events of a stream to those of the same in cuts.
func (f *findings) same(whole, cut reading) {
	if diff := sessiontest.Difference(whole.events, cut.events); diff != "" {
		f.add("P6", "the cuts matter (-whole +cut):\n%s", diff)
	}
}

// client holds s to what the server reads of a client's bytes.
func (s subject) client(tb testing.TB, stream []byte, cuts cuts) (f findings) {
	tb.Helper()
	d := s.decoder()
	whole := s.read(d, session.FromClient, stream, nil)
	best := f.compare(tb, whole, stream, cuts)
	f.same(whole, s.read(s.decoder(), session.FromClient, stream, cuts))

	streams, stdin := accepted(best.frames)
	if got := whole.events.Text(session.Input, session.Stdin); !bytes.HasPrefix(got, stdin) {
		f.add("P2", "the server reads %q on stdin, we read %q", stdin, got)
	}
	var want []session.Stream
	for _, o := range streams {
		if is, ok := session.ParseStream(o.streamType); ok {
			want = append(want, is)
		}
	}
	if got := types(whole.events); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		f.add("P2", "the server accepts streams %v, we see %v", want, got)
	}
	for _, o := range streams {
		f.answer(tb, s, d, o)
	}
	return f
}

// answer holds d to knowing o by what it makes of a word that the server says
// on it.
func (f *findings) answer(tb testing.TB, s subject, d session.Decoder, o opened) {
	tb.Helper()
	is, _ := session.ParseStream(o.streamType)
	if is == session.ErrorStream {
		return
	}
	word := assemble(tb, []draft{{first: o.id, tail: []byte("word")}}, zlib.DefaultCompression)
	got := s.read(d, session.FromServer, word, nil).events
	want := sessiontest.Seen{{Kind: session.Raw, From: session.FromServer, Data: word}}
	if is == session.Stdout || is == session.Stderr {
		want = sessiontest.Seen{{Kind: session.Output, Stream: is, Data: []byte("word")}}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.add("P2", "stream %d is %q to the server (-want +got):\n%s", o.id, o.streamType, diff)
	}
}

func types(events sessiontest.Seen) (all []session.Stream) {
	for _, e := range events {
		if e.Kind == session.Opened {
			all = append(all, e.Stream)
		}
	}
	return all
}

// usual opens the streams of the sessions whose server is looked at.
var usual = []draft{
	synStream(1, "error"), synStream(3, "stdin"), synStream(5, "stdout"),
	synStream(7, "stderr"), synStream(9, "resize"), synStream(129, "stdout"),
}

// server holds s to what the client reads of a server's bytes, and to letting
// none of them go unaccounted.
func (s subject) server(tb testing.TB, stream []byte, cuts cuts) (f findings) {
	tb.Helper()
	opening := assemble(tb, usual, zlib.DefaultCompression)
	begun := func() session.Decoder {
		d := s.decoder()
		s.read(d, session.FromClient, opening, nil)
		return d
	}
	whole := s.read(begun(), session.FromServer, stream, nil)
	f.compare(tb, whole, stream, cuts)
	f.same(whole, s.read(begun(), session.FromServer, stream, cuts))
	if diff := sessiontest.Difference(account(whole, stream), whole.events); diff != "" {
		f.add("P5", "(-account +got):\n%s", diff)
	}
	return f
}

// account is what a server's data frames have to come to, each one of them:
// output, the session's outcome, or raw with its header.
func account(r reading, stream []byte) (events sessiontest.Seen) {
	is := map[uint32]session.Stream{1: session.ErrorStream, 5: session.Stdout, 7: session.Stderr, 129: session.Stdout}
	var outcome session.Outcome
	for _, f := range r.frames {
		if f.Kind != 0 {
			continue
		}
		switch is[f.ID] {
		case session.ErrorStream:
			outcome.Tell(f.Data, events.Add)
			outcome.End(events.Add)
		case session.Stdout, session.Stderr:
			addBytes(&events, session.Output, is[f.ID], f.Data)
		default:
			addBytes(&events, session.Raw, 0, stream[f.Offset:f.Offset+8])
			addBytes(&events, session.Raw, 0, f.Data)
		}
	}
	if r.gaveUp != nil {
		addBytes(&events, session.Raw, 0, stream[r.gaveUp.Offset:])
	}
	return events
}

// addBytes adds an event of the server's to events, if there are any.
func addBytes(events *sessiontest.Seen, kind session.Kind, stream session.Stream, b []byte) {
	e := session.Event{Kind: kind, Stream: stream, Data: b}
	if kind == session.Raw {
		e.From = session.FromServer
	}
	if len(b) > 0 {
		events.Add(e)
	}
}

func FuzzClientAgainstSpdystream(f *testing.F) {
	fuzz(f, session.FromClient, subject{decoder: right}.client)
}

func FuzzServerAgainstSpdystream(f *testing.F) {
	fuzz(f, session.FromServer, subject{decoder: right}.server)
}

// fuzz starts from what really passed from one side. An input is a stream,
// what is done to it, and how the result is cut.
func fuzz(f *testing.F, from session.Direction, check func(testing.TB, []byte, cuts) findings) {
	for i, c := range captures(f) {
		stream := sessiontest.Joined(c.Pieces)[from].Data
		f.Add(stream, []byte(nil), []byte{1})
		for n := range 8 { // so that a short run has seen most editors
			edits := make([]byte, 32)
			_, _ = rand.NewChaCha8([32]byte{byte(i), byte(n)}).Read(edits) // never fails
			f.Add(stream, edits, []byte{2, 2, 4, 4})
		}
	}
	f.Fuzz(func(t *testing.T, stream, edits, cuts []byte) {
		if len(stream) > maxStream || len(edits) > maxEdits {
			t.Skip("a larger stream tells no more")
		}
		for _, finding := range check(t, edited(t, stream, edits), cuts) {
			t.Error(finding)
		}
	})
}

// What an input may take: the framer is patient with what inflates to a GiB,
// and edits can repeat and store it.
const (
	maxStream = 256 << 10
	maxEdits  = 512
	maxEdited = 2 << 20
)
