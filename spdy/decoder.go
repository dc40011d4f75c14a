package spdy

import (
	"fmt"

	"exectape/session"
)

// Decoder decodes both directions of one session. It implements
// [session.Decoder].
type Decoder struct {
	readers [2]reader // by session.Direction
	streams map[uint32]*stream
	nextID  uint32 // the lowest id that the server would accept next
	errorID uint32 // of the first error stream, or 0
	resizes int    // how many resize streams there are
	outcome session.Outcome

	// During a Feed only.
	from session.Direction
	emit func(session.Event)
}

// maxResizes bounds the resize streams that are read. A server reads one, of
// those that were opened before its session begins, which takes at most 5
// streams.
const maxResizes = 8

// stream is one that the client opened and the server accepted. It is never
// forgotten and never changes its type: what the server still sends on an id
// that was reset, finished or opened again belongs to its first type.
type stream struct {
	is    session.Stream
	sizes *session.Sizes // of a resize stream; nil: they are not read
}

// maxStreams bounds the streams of one session. kubectl opens 4.
const maxStreams = 256

// New returns a decoder of the session whose server chose subprotocol, such as
// "v4.channel.k8s.io"; "" is the oldest.
func New(subprotocol string) *Decoder {
	d := &Decoder{
		streams: make(map[uint32]*stream),
		nextID:  1,
		outcome: session.NewOutcome(subprotocol),
	}
	for from := range d.readers {
		d.readers[from].to = d
	}
	return d
}

// Feed implements [session.Decoder].
func (d *Decoder) Feed(from session.Direction, p []byte, emit func(session.Event)) error {
	d.from, d.emit = from, emit
	r := &d.readers[from]
	n, err := r.frames.Feed(p, r)
	d.emit = nil
	if err != nil {
		return &session.Undecodable{From: from, Offset: r.frames.Offset(), Rest: append(r.rest(), p[n:]...), Err: fmt.Errorf("spdy: %w", err)}
	}
	return nil
}

// Pending implements [session.Decoder].
func (d *Decoder) Pending(from session.Direction) int { return d.readers[from].frames.Pending() }

// Begun implements [session.Decoder].
func (d *Decoder) Begun(from session.Direction) int { return d.readers[from].frames.Begun() }

// Farewell implements [session.Decoder]: a data frame on the error stream, and
// the stream's end. Before the client has opened one there is none.
func (d *Decoder) Farewell(sentence string) []byte {
	if d.errorID == 0 {
		return nil
	}
	document := d.outcome.Failure(sentence)
	return append(dataHeader(d.errorID, flagFin, len(document)), document...)
}

// controlFrame implements [frames].
func (d *Decoder) controlFrame(h header, streamType string) error {
	if h.frameType() == synReply && d.from == session.FromServer {
		if s := d.streams[h.word(0)]; s != nil {
			d.emit(session.Event{Kind: session.Accepted, Stream: s.is})
		}
		return nil
	}
	if h.frameType() != synStream || d.from != session.FromClient || !d.accept(h.word(0)) {
		return nil
	}
	is, ok := session.ParseStream(streamType)
	if !ok {
		return nil
	}
	if len(d.streams) == maxStreams {
		return fmt.Errorf("more than %d streams", maxStreams)
	}
	s := &stream{is: is}
	d.streams[h.word(0)] = s
	switch {
	case is == session.ErrorStream && d.errorID == 0:
		d.errorID = h.word(0)
	case is == session.ResizeStream && d.resizes < maxResizes:
		d.resizes++
		s.sizes = new(session.Sizes)
	}
	d.emit(session.Event{Kind: session.Opened, Stream: is})
	return nil
}

// accept is the server's check of a new stream's id
// (spdystream/connection.go, validateStreamId): control frames' ids are not
// masked, parity does not matter, and each must be at least the last plus 2.
func (d *Decoder) accept(id uint32) bool {
	if id > 1<<31-1 || id < d.nextID {
		return false
	}
	d.nextID = id + 2
	return true
}

// dataFrame implements [frames].
func (d *Decoder) dataFrame(h header) {
	if d.from == session.FromServer && !d.known(h) {
		d.emit(session.Event{Kind: session.Raw, From: d.from, Data: h[:headerSize]})
	}
}

// known reports whether what the server sends on h's stream has a meaning.
func (d *Decoder) known(h header) bool {
	s := d.streams[h.streamID()]
	return s != nil && (s.is == session.Stdout || s.is == session.Stderr || s.is == session.ErrorStream)
}

// payload implements [frames].
func (d *Decoder) payload(h header, p []byte) {
	s := d.streams[h.streamID()]
	if d.from == session.FromClient {
		d.typed(s, p)
		return
	}
	switch {
	case !d.known(h):
		d.emit(session.Event{Kind: session.Raw, From: d.from, Data: p})
	case s.is == session.ErrorStream:
		d.outcome.Tell(p, d.emit)
	default:
		d.emit(session.Event{Kind: session.Output, Stream: s.is, Data: p})
	}
}

// dataEnd implements [frames].
func (d *Decoder) dataEnd(h header) {
	if s := d.streams[h.streamID()]; d.from == session.FromServer && s != nil && s.is == session.ErrorStream {
		d.outcome.End(d.emit)
	}
}

// typed is what the client sent on s, which is nil for a stream that it never
// opened.
func (d *Decoder) typed(s *stream, p []byte) {
	switch {
	case s == nil:
	case s.is == session.Stdin:
		d.emit(session.Event{Kind: session.Input, Stream: s.is, Data: p})
	case s.sizes != nil:
		s.sizes.Feed(p, d.emit)
	}
}
