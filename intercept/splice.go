package intercept

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"exectape/session"
)

// splice copies between client and target, both ways, until both have ended,
// and returns the first error that is not an end. It closes neither.
//
// What happens on one side happens on the other: an end of file becomes a
// half-close, a reset a reset. After a half-close the other direction ends,
// too, once nothing has passed on it for idle: a client that leaves a stream
// untaken would otherwise keep its half for ever.
//
// It returns when both directions have ended.
func splice(client, target *end, idle time.Duration) error {
	ended := make(chan error, 1)
	p := &splicing{idle: idle, transfer: inKernel, then: func(err error) { ended <- err }}
	p.start(client, target)
	return <-ended
}

// relay is splice for what is recorded, and does not wait: it calls then in the
// goroutine of the direction that ends last. An idle session has no third one.
//
// A copier whose recording hangs is left behind with its thread: a successor
// goes on in its place, and the one left behind ends when it can.
func relay(client *end, socket *net.TCPConn, conn *session.Conn, idle time.Duration, then func(error)) {
	p := &splicing{idle: idle, transfer: transfer, then: then}
	target := &end{Duplex: conn, socket: socket}
	conn.Successor = func(from session.Direction, first []byte) {
		if from == session.FromServer {
			p.run(client, target, first)
		} else {
			p.run(target, client, first)
		}
	}
	p.start(client, target)
}

// end is one end of a splice: what is read and written, and the socket below.
type end struct {
	session.Duplex
	socket *net.TCPConn
	sent   atomic.Int64 // how many bytes were copied to it
}

// inKernel copies between two sockets.
func inKernel(dst, src *end) (int64, error) { return io.Copy(dst.Duplex, src.Duplex) }

type splicing struct {
	idle     time.Duration
	transfer func(dst, src *end) (int64, error) // until src ends, or its deadline comes
	then     func(error)                        // is called when both directions have ended
	half     atomic.Bool                        // one has

	mu   sync.Mutex // guards errs
	errs []error    // how each has that has
}

func (p *splicing) start(client, target *end) {
	go p.run(target, client, nil)
	go p.run(client, target, nil)
}

// run is one copier. What is first was read, and recorded, by another.
func (p *splicing) run(dst, src *end, first []byte) {
	err := p.copy(dst, src, first)
	if errors.Is(err, session.ErrOverdue) {
		return
	}
	p.mu.Lock()
	p.errs = append(p.errs, err)
	both := len(p.errs) == 2
	p.mu.Unlock()
	if both {
		p.then(errors.Join(p.errs...))
	}
}

// copy copies first, and then from src, to dst until src ends.
func (p *splicing) copy(dst, src *end, first []byte) error {
	var err error
	if len(first) > 0 {
		_, err = dst.socket.Write(first)
	}
	if err == nil {
		err = p.move(dst, src)
	}
	switch {
	case errors.Is(err, session.ErrOverdue):
		return err
	case err == nil:
		p.bound(dst)
		_ = dst.CloseWrite() // fails if dst is gone, which its reader sees
		return nil
	case errors.Is(err, errIdle):
		reset(dst, src)
		return err
	}
	// Either src was reset, or dst takes nothing any more. What src still sends
	// is read all the same: to close a socket with bytes unread is a reset,
	// which could overtake what is on its way to src.
	p.bound(dst)
	if _, overdue := io.Copy(io.Discard, src); errors.Is(overdue, session.ErrOverdue) {
		return overdue
	}
	if errors.Is(err, syscall.ECONNRESET) {
		reset(dst)
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// move copies until src ends or, in the second half of a session, has been
// idle.
func (p *splicing) move(dst, src *end) error {
	for {
		n, err := p.transfer(dst, src)
		dst.sent.Add(n)
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0:
			return errIdle
		default:
			_ = src.SetReadDeadline(time.Now().Add(p.idle))
		}
	}
}

var errIdle = errors.New("nothing passed after a half-close")

// bound bounds the other direction, which reads from conn.
func (p *splicing) bound(conn *end) {
	if !p.half.Swap(true) {
		_ = conn.SetReadDeadline(time.Now().Add(p.idle))
	}
}

// reset passes a reset on, as the kernel would have.
func reset(ends ...*end) {
	for _, e := range ends {
		_ = e.socket.SetLinger(0)
		_ = e.socket.Close()
	}
}

// resumed is a connection of which some bytes were read already.
type resumed struct {
	session.Duplex
	first []byte
}

// Read implements [io.Reader].
func (r *resumed) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		if r.first = r.first[n:]; len(r.first) == 0 {
			r.first = nil // and what it was a part of
		}
		return n, nil
	}
	return r.Duplex.Read(p)
}
