package websocket

import (
	"errors"
	"fmt"
	"math"

	"exectape/session"
)

// reader finds the messages in the frames of one direction, and refuses the
// frames that end the reading of whoever receives them. It implements
// [session.Framing].
type reader struct {
	frames  session.Frames
	message message

	server bool // it reads what the server sends
	joins  bool // a message may go on in the next frame; else each frame is one

	closed   bool  // a close frame came
	open     bool  // the message goes on in the next frame
	position int64 // in the frame's payload
	scratch  []byte
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

func (r *reader) check(h header) error {
	err := r.checkPeer(h)
	if err != nil || !r.joins || !h.data() {
		return err
	}
	switch continues := h.opcode() == opContinuation; {
	case continues && !r.open:
		return errContinuation
	case !continues && r.open:
		return errInterrupted
	}
	return nil
}

func (r *reader) checkPeer(h header) error {
	if r.server {
		return checkServer(h)
	}
	return r.checkClient(h)
}

// checkClient refuses what x/net/websocket does, which reads nothing behind it.
func (r *reader) checkClient(h header) error {
	switch {
	case !h.masked():
		return errUnmasked
	case r.closed:
		return errClosed
	case h.data() && h.length() > maxPayload:
		return fmt.Errorf("a data frame of %d bytes, at most %d are read by the server", h.length(), maxPayload)
	}
	return nil
}

// checkServer refuses what every client does. Behind its close frame a server
// may still send output: one goroutine of wsstream closes, others write.
func checkServer(h header) error {
	switch {
	case h.masked():
		return errMasked
	case h.extended():
		return errExtended
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

// payload is the next part, which is not empty, of a data frame's payload.
func (r *reader) payload(h header, p []byte) {
	first := r.position == 0
	r.position += int64(len(p))
	if first {
		p = r.message.frame(h, p)
	}
	r.message.part(p)
}

// End implements [session.Framing].
func (r *reader) End(head []byte) error {
	if header(head).data() && !r.open {
		r.message.end()
	}
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

// begun is [session.Decoder]'s Begun. Where a message in several frames began is
// not known.
func (r *reader) begun() int {
	if r.open {
		return math.MaxInt
	}
	return r.frames.Begun()
}
