package intercept

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"exectape/session"

	"golang.org/x/sys/unix"
)

// buffers are for what is being copied: a session has one only while something
// passes. Who says much gets a larger one the next time, because each piece costs
// the same calls however long it is.
type buffers []*sized

// sized are buffers of one size. A client that takes nothing keeps the one that is
// for it, so there are no more than so many of the larger ones.
type sized struct {
	size int
	max  int32 // 0: as many as are asked for
	lent atomic.Int32
	pool sync.Pool
}

var copying = buffers{
	{size: 32 << 10},
	{size: 128 << 10, max: 48},
	{size: 512 << 10, max: 8},
}

// take returns the smallest buffer that so much does not fill, if it is to be had.
func (s buffers) take(much int) *[]byte {
	at := 0
	for at < len(s)-1 && much >= s[at].size {
		at++
	}
	for s[at].lent.Add(1) > s[at].max && s[at].max > 0 {
		s[at].lent.Add(-1)
		at--
	}
	if b, ok := s[at].pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, s[at].size)
	return &b
}

func (s buffers) give(b *[]byte) {
	of := s.of(b)
	of.pool.Put(b)
	of.lent.Add(-1)
}

// forget leaves a buffer to whoever goes on with what is in it.
func (s buffers) forget(b *[]byte) { s.of(b).lent.Add(-1) }

func (s buffers) of(b *[]byte) *sized {
	return s[slices.IndexFunc(s, func(of *sized) bool { return of.size == len(*b) })]
}

// transfer is io.Copy for what is recorded. While src has nothing to say, it
// keeps no buffer.
func transfer(dst, src *end) (copied int64, err error) {
	quiet := newWait(src.socket)
	for said, room := 0, 0; ; {
		if said < room { // src had no more to say
			quiet.end()
		}
		b := copying.take(said)
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
