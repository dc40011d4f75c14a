package spdy

import (
	"encoding/binary"
	"errors"
	"fmt"

	"exectape/session"
)

// reader finds the frames of one direction. It implements [session.Framing].
//
// A frame's head is its header and what its type always has. Its body is
// payload, which is handed on as it comes; a header block, which is gathered;
// or the pairs of a SETTINGS frame, which are skipped.
type reader struct {
	frames  session.Frames
	to      frames
	block   []byte // the header block so far
	inflate inflater
}

// frames is told what a reader finds. Slices are valid only during the call.
type frames interface {
	// dataFrame begins a data frame, payload follows in any number of parts,
	// and dataEnd ends it.
	dataFrame(h header)
	payload(h header, p []byte)
	dataEnd(h header)

	// controlFrame has been read to its end. streamType is that of a header
	// block, "" if it has none.
	controlFrame(h header, streamType string) error
}

var (
	errZeroID   = errors.New("a frame for stream 0")
	errNoStatus = errors.New("a RST_STREAM with status 0")
	errFlags    = errors.New("a control frame with flags that end the server's reading")
	errLength   = errors.New("a control frame with a length that ends the server's reading")
)

// Head implements [session.Framing].
func (r *reader) Head(head []byte) (size int, body int64, err error) {
	h := header(head)
	switch {
	case len(h) < headerSize:
		return headerSize, 0, nil
	case h.control():
		return r.control(h)
	case h.streamID() == 0:
		return headerSize, 0, errZeroID
	}
	r.to.dataFrame(h)
	return headerSize, int64(h.length()), nil
}

// control looks at a control frame, of which the fixed part may still have to
// come. What is an error here ends the server's reading in every version of
// spdystream.
func (r *reader) control(h header) (size int, body int64, err error) {
	t := h.frameType()
	fixed, ok := fixedSize[t]
	if !ok {
		return headerSize, 0, fmt.Errorf("a control frame of type %d", t)
	}
	size = headerSize + fixed
	switch {
	case len(h) < size:
	case t == settings:
		body = 8 * int64(h.word(0))
	case t.hasBlock():
		body, err = blockSize(h)
	default:
		err = check(h)
	}
	return size, body, err
}

// check refuses a control frame of a fixed size as the server does.
func check(h header) error {
	switch t := h.frameType(); {
	case t == rstStream && h.word(4) == 0:
		return errNoStatus
	case t != rstStream && h.flags() != 0:
		return errFlags
	case (t == goAway || t == windowUpdate) && h.length() != 8:
		return errLength
	case (t == rstStream || t == ping) && h.word(0) == 0:
		return errZeroID
	}
	return nil
}

// blockSize returns the size of a header block. A length that is shorter than
// the fixed part makes the server wait for 4 GiB and then refuse them.
func blockSize(h header) (int64, error) {
	size := h.length() - fixedSize[h.frameType()]
	switch {
	case size < 0:
		return 0, errLength
	case size > maxBlock:
		return 0, fmt.Errorf("a header block of %d bytes, at most %d are decoded", size, maxBlock)
	}
	return int64(size), nil
}

// Body implements [session.Framing].
func (r *reader) Body(head, part []byte) {
	switch h := header(head); {
	case !h.control():
		r.to.payload(h, part)
	case h.frameType().hasBlock():
		r.block = append(r.block, part...)
	}
}

// End implements [session.Framing].
func (r *reader) End(head []byte) error {
	h := header(head)
	switch {
	case !h.control():
		r.to.dataEnd(h)
		return nil
	case !h.frameType().hasBlock():
		return r.to.controlFrame(h, "")
	}
	streamType, err := r.inflate.read(r.block)
	switch {
	case err != nil:
		return err
	case h.word(0) == 0:
		return errZeroID
	}
	err = r.to.controlFrame(h, streamType)
	if err == nil {
		r.block = nil
	}
	return err
}

// rest returns the bytes of the frame that is being read, as far as they are
// kept: all but the payload of a data frame and the pairs of a SETTINGS frame.
func (r *reader) rest() []byte { return append(r.frames.Gathered(), r.block...) }

// dataHeader makes the header of a data frame.
func dataHeader(id uint32, flags byte, length int) []byte {
	h := binary.BigEndian.AppendUint32(nil, id)
	return binary.BigEndian.AppendUint32(h, uint32(flags)<<24|uint32(length))
}
