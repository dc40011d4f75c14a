package session

import "math"

// Frames cuts one direction into frames, in any pieces that it comes in.
//
// A frame is a head, which is gathered, and a body, which is handed on as it
// comes: no length that a peer claims is ever allocated. The zero value is at
// the beginning of the first frame.
type Frames struct {
	offset int64  // of the frame, counted from the upgrade
	taken  int64  // how many of its bytes were fed
	head   []byte // as far as it has come
	size   int    // of the head, as far as is known
	body   int64  // bytes of the body still to come
}

// A Framing is what a protocol knows of its frames. Its slices are valid only
// during the call.
type Framing interface {
	// Head is called with what there is of a frame's head, nothing at first,
	// and returns how long the head is at least. When it returns len(head),
	// the head is complete, and a body of so many bytes follows.
	Head(head []byte) (size int, body int64, err error)

	// Body is called with each part of the body, none of which is empty.
	Body(head, part []byte)

	// End is called when the frame is complete.
	End(head []byte) error
}

// Feed consumes p and tells to what it finds in it. If it returns an error,
// which is to's, the frame at f.Offset() can't be decoded, and the first n
// bytes of p were consumed before that was seen.
func (f *Frames) Feed(p []byte, to Framing) (n int, err error) {
	for n < len(p) {
		var k int
		if f.body > 0 {
			k = f.feedBody(p[n:], to)
		} else if k, err = f.feedHead(p[n:], to); err != nil {
			return n + k, err
		}
		n += k
		f.taken += int64(k)
		if len(f.head) < f.size || f.body > 0 {
			continue
		}
		if err := to.End(f.head); err != nil {
			return n, err
		}
		*f = Frames{offset: f.offset + f.taken, head: f.head[:0]}
	}
	return n, nil
}

func (f *Frames) feedHead(p []byte, to Framing) (n int, err error) {
	if len(f.head) == 0 {
		if f.size, _, err = to.Head(nil); err != nil {
			return 0, err
		}
	}
	n = min(len(p), f.size-len(f.head))
	f.head = append(f.head, p[:n]...)
	if len(f.head) == f.size {
		f.size, f.body, err = to.Head(f.head)
	}
	return n, err
}

func (f *Frames) feedBody(p []byte, to Framing) (n int) {
	n = int(min(int64(len(p)), f.body))
	f.body -= int64(n)
	to.Body(f.head, p[:n])
	return n
}

// Begun is [Decoder]'s, for one direction.
func (f *Frames) Begun() int { return int(min(f.taken, math.MaxInt)) }

// Offset returns where the frame that is being read begins, counted from the
// upgrade.
func (f *Frames) Offset() int64 { return f.offset }

// Gathered returns a copy of what has come of that frame's head.
func (f *Frames) Gathered() []byte { return append([]byte(nil), f.head...) }

// Pending is [Decoder]'s, for one direction.
func (f *Frames) Pending() int {
	if f.body > 0 {
		return int(min(f.body, 1<<30))
	}
	if len(f.head) == 0 {
		return 0
	}
	return f.size - len(f.head)
}
