package intercept

import (
	"errors"
	"io"
	"net"
	"os"
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
// It owns both copiers and returns when both have.
func splice(client, target *end, idle time.Duration) error {
	p := &splicing{idle: idle}
	var up error
	done := make(chan struct{})
	go func() {
		defer close(done)
		up = p.copy(target, client)
	}()
	down := p.copy(client, target)
	<-done
	return errors.Join(up, down)
}

// end is one end of a splice: what is read and written, and the socket below.
type end struct {
	session.Duplex
	socket *net.TCPConn
}

type splicing struct {
	idle time.Duration
	half atomic.Bool // one direction has ended
}

// copy copies from src to dst until src ends.
func (p *splicing) copy(dst, src *end) error {
	err := p.move(dst, src)
	switch {
	case err == nil:
		p.ended(dst)
		_ = dst.CloseWrite() // fails if dst is gone, which its reader sees
		return nil
	case errors.Is(err, errIdle):
		reset(dst, src)
		return err
	}
	// Either src was reset, or dst takes nothing any more. What src still sends
	// is read all the same: to close a socket with bytes unread is a reset,
	// which could overtake what is on its way to src.
	p.ended(dst)
	_, _ = io.Copy(io.Discard, src)
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
		n, err := io.Copy(dst.Duplex, src.Duplex)
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

// ended bounds the other direction, which reads from conn.
func (p *splicing) ended(conn *end) {
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
		r.first = r.first[n:]
		return n, nil
	}
	return r.Duplex.Read(p)
}
