package intercept

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

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
	quiet := newWait(src.socket)
	for said, room := 0, 0; ; {
		if said < room { // src had no more to say
			quiet.end()
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

// A wait is for something to read from a socket. It is for one copier, which
// waits again and again.
type wait struct {
	raw    syscall.RawConn // nil: the socket is closed
	look   func(fd uintptr) bool
	looked bool
	polled [1]unix.PollFd
}

func newWait(socket *net.TCPConn) *wait {
	w := new(wait)
	w.raw, _ = socket.SyscallConn() // it is read from next, which fails, too
	w.look = w.over
	return w
}

// end waits until something can be read, or the socket's read deadline has come.
// What is wrong with the socket is seen when it is read from.
func (w *wait) end() {
	w.looked = false
	if w.raw != nil {
		_ = w.raw.Read(w.look)
	}
}

// over reports whether the wait for fd is.
func (w *wait) over(fd uintptr) bool {
	if w.looked {
		return true
	}
	// What came before this call is not waited for again. To peek at it would
	// take a reset for us, and leave an end of file to Read.
	w.looked = true
	w.polled[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}
	n, err := unix.Poll(w.polled[:], 0)
	return n > 0 || err != nil
}
