package spdy

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// reader cuts one direction into frames, in any pieces that it comes in.
//
// A frame is a fixed part (header, and what its type always has), which is
// gathered in head, and then a body: payload, which is handed on as it comes; a
// header block, which is gathered; or pairs of a SETTINGS frame, which are
// skipped.
type reader struct {
	offset int64 // of the frame, counted from the upgrade
	taken  int64 // how many of its bytes were fed

	head [maxFixed]byte
	have int // bytes of head
	need int // bytes of head that this frame has, as far as is known

	body  int64  // bytes of the body still to come
	block []byte // the header block so far

	inflate inflater
}

// frames is told what a reader finds. Slices are valid only during the call.
type frames interface {
	// dataFrame begins a data frame; payload follows in any number of parts.
	dataFrame(h header)
	payload(h header, p []byte)

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

// feed consumes p and tells to what it finds in it. If it returns an error,
// the frame at r.offset can't be decoded, and the first n bytes of p were
// consumed before that was seen.
func (r *reader) feed(p []byte, to frames) (n int, err error) {
	for n < len(p) {
		var k int
		switch {
		case r.body > 0:
			k, err = r.feedBody(p[n:], to)
		default:
			k, err = r.feedHead(p[n:], to)
		}
		n += k
		r.taken += int64(k)
		if err != nil {
			return n, err
		}
		if r.have > 0 && r.have == r.need && r.body == 0 {
			r.offset += r.taken
			r.taken, r.have, r.need, r.block = 0, 0, 0, nil
		}
	}
	return n, nil
}

// pending is [session.Decoder]'s Pending.
func (r *reader) pending() int {
	switch {
	case r.body > 0:
		return int(min(r.body, 1<<30))
	case r.have == 0:
		return 0
	case r.have < headerSize:
		return headerSize - r.have
	default:
		return r.need - r.have
	}
}

func (r *reader) feedHead(p []byte, to frames) (n int, err error) {
	if r.have == 0 {
		r.need = headerSize
	}
	n = copy(r.head[r.have:r.need], p)
	r.have += n
	if r.have < r.need {
		return n, nil
	}
	h := header(r.head[:r.have])
	if !h.control() {
		if h.streamID() == 0 {
			return n, errZeroID
		}
		r.body = int64(h.length())
		to.dataFrame(h)
		return n, nil
	}
	if r.need == headerSize {
		fixed, ok := fixedSize[h.frameType()]
		if !ok {
			return n, fmt.Errorf("a control frame of type %d", h.frameType())
		}
		r.need += fixed
		return n, nil
	}
	return n, r.fixed(h, to)
}

// fixed looks at a control frame of which the fixed part has come. What is an
// error here ends the server's reading in every version of spdystream.
func (r *reader) fixed(h header, to frames) error {
	id := h.word(0)
	switch t := h.frameType(); t {
	case settings:
		if r.body = 8 * int64(id); r.body > 0 {
			return nil
		}
		return to.controlFrame(h, "")
	case rstStream:
		if h.word(4) == 0 {
			return errNoStatus
		}
	case ping, goAway, windowUpdate:
		if h.flags() != 0 {
			return errFlags
		}
		if t != ping && h.length() != 8 {
			return errLength
		}
	default:
		return r.startBlock(h, to)
	}
	if id == 0 && h.frameType() != goAway && h.frameType() != windowUpdate {
		return errZeroID
	}
	return to.controlFrame(h, "")
}

// startBlock is at the beginning of a header block. A length that is shorter
// than the fixed part makes the server wait for 4 GiB and then refuse them.
func (r *reader) startBlock(h header, to frames) error {
	size := h.length() - fixedSize[h.frameType()]
	switch {
	case size < 0:
		return errLength
	case size > maxBlock:
		return fmt.Errorf("a header block of %d bytes, at most %d are decoded", size, maxBlock)
	case size == 0:
		return r.endBlock(h, to)
	}
	r.body = int64(size)
	return nil
}

func (r *reader) endBlock(h header, to frames) error {
	streamType, err := r.inflate.read(r.block)
	if err != nil {
		return err
	}
	if h.word(0) == 0 {
		return errZeroID
	}
	return to.controlFrame(h, streamType)
}

func (r *reader) feedBody(p []byte, to frames) (n int, err error) {
	h := header(r.head[:r.have])
	p = p[:min(int64(len(p)), r.body)]
	r.body -= int64(len(p))
	switch {
	case !h.control():
		to.payload(h, p)
	case h.frameType().hasBlock():
		r.block = append(r.block, p...)
		if r.body == 0 {
			err = r.endBlock(h, to)
		}
	case r.body == 0: // the last pair of a SETTINGS frame
		err = to.controlFrame(h, "")
	}
	return len(p), err
}

// rest returns the bytes of the frame that is being read, as far as they are
// kept: all but the payload of a data frame and the pairs of a SETTINGS frame.
func (r *reader) rest() []byte {
	return append(append([]byte(nil), r.head[:r.have]...), r.block...)
}

// dataHeader makes the header of a data frame.
func dataHeader(id uint32, flags byte, length int) []byte {
	h := binary.BigEndian.AppendUint32(nil, id)
	return binary.BigEndian.AppendUint32(h, uint32(flags)<<24|uint32(length))
}
