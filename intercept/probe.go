package intercept

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A secret is what a probe says of itself. It goes nowhere but to our own
// listener and is good for one connection, so nobody else can pass for a probe.
type secret [16]byte

// probes are those under way, and those that were given up and may be accepted
// yet: they are no strangers. The zero value is ready.
type probes struct {
	mu      sync.Mutex // guards what follows
	waiting map[secret]waiting
}

// A waiting probe hears whether a session would be served.
type waiting struct {
	heard chan<- error
	gone  time.Time // when it was given up; zero: it was not
}

// probeLate is for how long a probe is known that was given up.
const probeLate = 10 * time.Second

// Probe finds out whether a redirected connection would be served now: one of
// our own to each listener that Serve was given goes the same way, which for it
// ends where its original destination has been read, because that is the
// listener itself. Beside it there must be descriptors for a session.
//
// It costs a connection on loopback and no more, and can be called every second.
func (s *Server) Probe(ctx context.Context) error {
	entries := s.entrances()
	if len(entries) == 0 {
		return errors.New("probe: no listener for redirected connections is open")
	}
	for _, at := range entries {
		if err := s.probe(ctx, at); err != nil {
			return fmt.Errorf("probe %s: %w", at, err)
		}
	}
	return nil
}

// probeTry is how long one connection is waited for alone. The kernel may take it
// for a session that has ended: see beginProbe.
const probeTry = probeWait / 2

// errNotAccepted is why a probe that got nowhere is tried again.
var errNotAccepted = errors.New("it was not accepted")

// probePause is between one that was reset and the next.
const probePause = 10 * time.Millisecond

func (s *Server) probe(ctx context.Context, at netip.AddrPort) error {
	return firstAnswer(ctx, func(ctx context.Context) error { return s.probeOnce(ctx, at) })
}

// firstAnswer tries until a try is answered, whichever of them that is: while the
// machine is busy accept is behind, and who gave up a try that only waits would
// have to wait as long for the next.
func firstAnswer(ctx context.Context, try func(context.Context) error) error {
	trying, cancel := context.WithCancel(ctx)
	var tries sync.WaitGroup // which are waited for here
	defer tries.Wait()
	defer cancel()
	answers := make(chan error)
	for last := errNotAccepted; ; {
		tries.Go(func() {
			err := try(trying)
			select {
			case answers <- err:
			case <-trying.Done():
			}
		})
		select {
		case last = <-answers:
			if !errors.Is(last, errNotAccepted) {
				return last
			}
			select {
			case <-time.After(probePause):
			case <-ctx.Done():
			}
		case <-time.After(probeTry):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", last, context.Cause(ctx))
		}
	}
}

// beginProbe has a probe's connection begin where no session's does. Connection
// tracking remembers a session for minutes after its end. While no rule hooks it,
// as before ours are there, it doesn't see new connections, and tells that
// session's original destination of one that has its addresses and ports.
func beginProbe(_, address string, c syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return err
	}
	var sockErr error
	err = c.Control(func(fd uintptr) { sockErr = beginApart(int(fd), at.Addr()) })
	return errors.Join(err, sockErr)
}

func (s *Server) probeOnce(ctx context.Context, at netip.AddrPort) error {
	word, heard := s.probes.begin()
	defer s.probes.end(word)
	d := net.Dialer{Control: beginProbe}
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return notAccepted(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0) // no TIME_WAIT every second
	if _, err := conn.Write(word[:]); err != nil {
		return notAccepted(err)
	}
	select {
	case err := <-heard:
		return err
	case <-ctx.Done():
		return errNotAccepted
	}
}

// notAccepted marks the error of a connection that was reset, as one is that the
// kernel took for a session's whose target is none of ours.
func notAccepted(err error) error {
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("%w: %w", errNotAccepted, err)
	}
	return err
}

// begin makes a secret, and returns it and where to hear of it.
func (p *probes) begin() (secret, <-chan error) {
	var word secret
	_, _ = rand.Read(word[:]) // never fails
	heard := make(chan error, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[secret]waiting)
	}
	p.forget()
	p.waiting[word] = waiting{heard: heard}
	return word, heard
}

// end gives a probe up that has not been answered.
func (p *probes) end(word secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, unanswered := p.waiting[word]; unanswered {
		w.gone = time.Now()
		p.waiting[word] = w
	}
}

func (p *probes) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	return len(p.waiting) > 0
}

func (p *probes) forget() {
	maps.DeleteFunc(p.waiting, func(_ secret, w waiting) bool {
		return !w.gone.IsZero() && time.Since(w.gone) > probeLate
	})
}

// take returns where to tell of a probe, or nil if there is none of that word.
func (p *probes) take(word secret) chan<- error {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := p.waiting[word].heard
	delete(p.waiting, word)
	return heard
}

// probeWait is for how long a connection that nobody redirected is heard out
// while a probe is under way.
const probeWait = time.Second

// probed reports whether a connection to the listener itself is a probe of
// ours. Then it has been answered.
func (s *Server) probed(l *link) bool {
	if !s.probes.any() {
		return false
	}
	var word secret
	_ = l.client.SetReadDeadline(time.Now().Add(probeWait))
	if _, err := io.ReadFull(l.client, word[:]); err != nil {
		return false
	}
	heard := s.probes.take(word)
	if heard == nil {
		return false
	}
	heard <- room(l.client)
	return true
}

// room reports that a session would find no descriptors for its target and its
// cast; its client's would be the one that conn has.
func room(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		for range 2 {
			extra, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				dupErr = fmt.Errorf("no descriptors for a session: %w", err)
				return
			}
			defer unix.Close(extra)
		}
	})
	return errors.Join(err, dupErr)
}

// entrances returns where redirected connections are accepted.
func (s *Server) entrances() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	return s.redirects
}
