package websocket

import (
	"errors"
	"fmt"

	"exectape/session"
)

// reader finds the messages in the frames of one direction. It implements
// [session.Framing].
type reader struct {
	frames session.Frames
	to     messages

	server bool // it reads what the server sends
	joins  bool // a message may go on in the next frame; else each frame is one

	closed   bool  // a close frame came
	open     bool  // the message goes on in the next frame
	named    bool  // the message's channel has come
	channel  byte  // the message's
	position int64 // in the frame's payload

	base64  *text // nil in a binary subprotocol
	scratch []byte
}

// messages is told what a reader finds. Slices are valid only during the call.
type messages interface {
	// begin is called once for each data frame that is not empty. name is the
	// message's first byte, which names the channel, or nothing in the frames
	// behind the one that had it.
	begin(channel byte, h header, name []byte)

	// data is the next part of the message on channel.
	data(channel byte, p []byte)

	// spoilt is text of the message that is no base64.
	spoilt(channel byte, text []byte)

	// end is called at the message's end. It is not whole if any of it was
	// spoilt.
	end(channel byte, whole bool)
}

// maxPayload is the largest data frame that the server reads
// (x/net/websocket, DefaultMaxPayloadBytes).
const maxPayload = 32 << 20

// scratchSize is how much of a frame is unmasked at once.
const scratchSize = 4096

var (
	errUnmasked     = errors.New("a client's frame that is not masked")
	errMasked       = errors.New("a server's frame that is masked")
	errExtended     = errors.New("a server's frame with RSV bits, whose meaning only an extension knows")
	errClosed       = errors.New("a frame behind the close frame")
	errContinuation = errors.New("a continuation frame that continues no message")
	errInterrupted  = errors.New("a message inside a message")
)

// Head implements [session.Framing].
func (r *reader) Head(b []byte) (size int, body int64, err error) {
	h := header(b)
	if len(h) < minHeader {
		return minHeader, 0, nil
	}
	if size = h.size(); len(h) < size {
		return size, 0, nil
	}
	if err := r.check(h); err != nil {
		return size, 0, err
	}
	switch {
	case h.data():
		r.position = 0
		r.open = r.joins && !h.fin()
	case h.opcode() == opClose:
		r.closed = true
	}
	return size, h.length(), nil
}

// check refuses what ends the reading of whoever receives it.
func (r *reader) check(h header) error {
	switch {
	case h.masked() && r.server:
		return errMasked
	case h.extended() && r.server:
		return errExtended
	case !h.masked() && !r.server:
		return errUnmasked
	case r.closed && !r.server:
		return errClosed
	case !h.data():
		return nil
	case h.length() > maxPayload && !r.server:
		return fmt.Errorf("a data frame of %d bytes, at most %d are read by the server", h.length(), maxPayload)
	case r.joins && r.open && h.opcode() != opContinuation:
		return errInterrupted
	case r.joins && !r.open && h.opcode() == opContinuation:
		return errContinuation
	}
	return nil
}

// Body implements [session.Framing].
func (r *reader) Body(head, part []byte) {
	h := header(head)
	if !h.data() {
		return
	}
	if !h.masked() {
		r.payload(h, part)
		return
	}
	for len(part) > 0 {
		n := r.unmask(h.key(), part)
		r.payload(h, r.scratch[:n])
		part = part[n:]
	}
}

// unmask puts the plain bytes of part into the scratch buffer, as many as it
// holds. part itself is still to be forwarded, and stays as it is.
func (r *reader) unmask(key, part []byte) (n int) {
	if r.scratch == nil {
		r.scratch = make([]byte, scratchSize)
	}
	n = copy(r.scratch, part)
	for i := range r.scratch[:n] {
		r.scratch[i] ^= key[(r.position+int64(i))%keySize]
	}
	return n
}

// payload is the next part, which is not empty, of the payload of a data frame.
func (r *reader) payload(h header, p []byte) {
	first := r.position == 0
	r.position += int64(len(p))
	if first {
		p = r.name(h, p)
	}
	if r.base64 == nil {
		if len(p) > 0 {
			r.to.data(r.channel, p)
		}
		return
	}
	for len(p) > 0 {
		n, data, spoilt := r.base64.decode(p)
		p = p[n:]
		r.tell(data, spoilt)
	}
}

// name is at the beginning of a frame's payload, which is where a message's
// channel is, and returns what is behind it.
func (r *reader) name(h header, p []byte) []byte {
	name := p[:0]
	if !r.named {
		name, p = p[:1], p[1:]
		r.named, r.channel = true, name[0]
		if r.base64 != nil {
			r.channel -= '0' // and wraps, as the server's does
		}
	}
	r.to.begin(r.channel, h, name)
	return p
}

// tell is what a part of a base64 message came to.
func (r *reader) tell(data, spoilt []byte) {
	if len(data) > 0 {
		r.to.data(r.channel, data)
	}
	if len(spoilt) > 0 {
		r.to.spoilt(r.channel, spoilt)
	}
}

// End implements [session.Framing].
func (r *reader) End(head []byte) error {
	if !header(head).data() || r.open || !r.named {
		return nil
	}
	whole := true
	if r.base64 != nil {
		var spoilt []byte
		spoilt, whole = r.base64.end()
		r.tell(nil, spoilt)
	}
	r.to.end(r.channel, whole)
	r.named = false
	return nil
}

// pending is [session.Decoder]'s Pending: a message that is not complete is
// as little a place for another one as a frame that is not.
func (r *reader) pending() int {
	if n := r.frames.Pending(); n > 0 || !r.open {
		return n
	}
	return minHeader
}
