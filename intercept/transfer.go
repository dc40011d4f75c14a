package intercept

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"exectape/session"

	"golang.org/x/sys/unix"
)

const (
	smallBuffer = 32 << 10
	largeBuffer = 128 << 10

	// maxLarge is how many sessions may have a large buffer at once. A client
	// that takes nothing keeps the one that is for it.
	maxLarge = 64
)

// buffers are for what is being copied: a session has one only while something
// passes. Who fills it gets a large one the next time, because each piece costs
// the same calls however long it is.
type buffers struct {
	small, large sync.Pool
	lent         atomic.Int32 // of the large ones
}

var copying = buffers{
	small: sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }},
	large: sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }},
}

func (s *buffers) take(much bool) *[]byte {
	if much {
		if s.lent.Add(1) <= maxLarge {
			return s.large.Get().(*[]byte)
		}
		s.lent.Add(-1)
	}
	return s.small.Get().(*[]byte)
}

func (s *buffers) give(b *[]byte) {
	if len(*b) == smallBuffer {
		s.small.Put(b)
		return
	}
	s.large.Put(b)
	s.lent.Add(-1)
}

// transfer is io.Copy for what is recorded. While src has nothing to say, it
// keeps no buffer.
func transfer(dst, src *end) (copied int64, err error) {
	for said, room := 0, 0; ; {
		if said < room { // src had no more to say
			_ = readable(src) // an error comes again
		}
		b := copying.take(room > 0 && said == room)
		room = len(*b)
		var ended error
		if said, ended = src.Read(*b); said > 0 {
			var written int
			written, err = dst.Duplex.Write((*b)[:said])
			copied += int64(written)
		}
		if errors.Is(err, session.ErrOverdue) || errors.Is(ended, session.ErrOverdue) {
			copying.forget(b)
			return copied, session.ErrOverdue
		}
		copying.give(b)
		switch {
		case err != nil:
			return copied, err
		case errors.Is(ended, io.EOF):
			return copied, nil
		case ended != nil:
			return copied, ended
		}
	}
}

// forget leaves a buffer to whoever goes on with what is in it.
func (s *buffers) forget(b *[]byte) {
	if len(*b) == largeBuffer {
		s.lent.Add(-1)
	}
}

// readable waits until something can be read from the end's socket, or its read
// deadline has come.
func readable(e *end) error {
	raw, err := e.socket.SyscallConn()
	if err != nil {
		return err
	}
	waited := false
	return raw.Read(func(fd uintptr) bool {
		if waited {
			return true
		}
		// What came before this call is not waited for again. To peek at it
		// would take a reset for us, and leave an end of file to Read.
		waited = true
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		n, err := unix.Poll(polled, 0)
		return n > 0 || err != nil
	})
}
