package intercept

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"exectape/session"

	"go.uber.org/zap"
)

// A Server intercepts connections to targets. Its fields are set before
// the first Serve and not changed after it.
type Server struct {
	IsTarget  func(netip.AddrPort) bool // which addresses may be connected to, at the time
	Mark      uint32                    // SO_MARK of our own dials; 0 for none
	Protocols map[string]Protocol       // by the Upgrade header of a 101, in lower case

	// Open begins the recording of a session, before its 101 is forwarded. A
	// Recorder that it returns beside an error is used if the session may go on.
	Open func(session.Info) (session.Recorder, error)

	// Trace follows a session, before its request is forwarded: verb is "attach"
	// only if the target can't take the request for anything else, and websocket
	// says that streams are not opened by the client. nil: nobody asks whose
	// sessions are.
	Trace func(verb string, websocket bool) session.Tracer

	// Peer finds out who has the socket from local to remote, the client's of a
	// session. What it returns tells it, once if at all. nil: nobody asks.
	Peer func(local, remote netip.AddrPort) <-chan session.Peer

	Node          string // this node's name, for the sessions' Info; "": not known
	Policy        session.Policy
	MaxSessions   int                   // how many are recorded at once, beyond which Policy applies; 0: any
	HeadTimeout   time.Duration         // for one HTTP head, of either side
	HalfCloseIdle time.Duration         // for a direction whose opposite has ended
	Ended         func(session.Summary) // is told of each session that has ended, in whatever way; nil: nobody is
	Log           *zap.Logger
	Noise         *zap.Logger // for what any client can cause as often as it likes; it may leave lines out

	mu        sync.Mutex // guards what follows
	listeners []net.Listener
	redirects []netip.AddrPort // those of the listeners that rules lead to
	links     map[*link]struct{}
	stopping  bool
	overTLS   map[netip.AddrPort]int
	large     largeHeads
	sessions  int   // that are recorded now
	admitted  int   // that ever were
	unable    error // the last accept's

	quiet       quiet
	probes      probes
	refused     tally // Stats has what these are
	undecodable tally
	untold      atomic.Int64
	unrecorded  tally
	served      sync.WaitGroup // one for each link
}

// A Protocol is what a connection can be upgraded to.
type Protocol struct {
	Name              string // as in session.Info
	SubprotocolHeader string // where a 101 says which it chose
	NewDecoder        func(subprotocol string) session.Decoder
}

// Serve accepts redirected connections from ln until ln is closed or Shutdown
// is called, which is no error.
func (s *Server) Serve(ln *net.TCPListener) error {
	s.mu.Lock()
	s.redirects = append(s.redirects, unmapped(ln.Addr().(*net.TCPAddr).AddrPort()))
	s.mu.Unlock()
	return s.accept(ln, s.redirected)
}

// accept serves each connection in a goroutine of its own, which Shutdown
// waits for.
func (s *Server) accept(ln *net.TCPListener, serve func(*link)) error {
	if !s.listen(ln) {
		return nil
	}
	s.Log.Info("listening", zap.Stringer("addr", ln.Addr()))
	for {
		for !s.quiet.room() && !s.quiet.sendAway() {
			time.Sleep(acceptPause)
		}
		conn, err := ln.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil && isTemporary(err):
			s.Noise.Error("no connection can be accepted", zap.Error(err))
			s.able(err)
			s.quiet.sendAway()
			time.Sleep(acceptPause)
			continue
		case err != nil:
			return fmt.Errorf("accept on %v: %w", ln.Addr(), err)
		}
		s.able(nil)
		l := &link{client: conn}
		l.hold()
		if !s.add(l) {
			l.close()
			continue
		}
		s.quiet.begin(l)
		go func() {
			defer s.release(l)
			defer s.quiet.end(l)
			serve(l)
		}()
	}
}

// able notes how an accept went, for Accepting.
func (s *Server) able(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unable = err
}

// acceptPause is how long to wait when the process is out of descriptors, or
// when so many connections are quiet that there is no room for another.
const acceptPause = 50 * time.Millisecond

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// redirected serves a connection that came through a REDIRECT rule.
func (s *Server) redirected(l *link) {
	to, err := originalDestination(l.client)
	switch {
	case err != nil:
		s.refuse(l, to, refusedUnknown, err)
		return
	case to == local(l.client) && s.probed(l):
		return
	case to == local(l.client):
		s.refuse(l, to, refusedDirect, nil)
		return
	case !s.IsTarget(to):
		s.refuse(l, to, refusedStranger, nil)
		return
	}
	l.meant = to
	first, err := s.firstByte(l)
	if err != nil {
		s.logEnded(l, to, err)
		return
	}
	if err := s.dial(l, to); err != nil {
		s.refuse(l, to, refusedUnreachable, err)
		return
	}
	s.intercept(l, first)
}

// firstByte waits for the client to begin, as HTTP's do. Until then it costs a
// descriptor and a small stack, and its target nothing.
func (s *Server) firstByte(l *link) ([]byte, error) {
	var first [1]byte
	_ = l.client.SetReadDeadline(time.Now().Add(s.HeadTimeout))
	if _, err := l.client.Read(first[:]); err != nil {
		return nil, fmt.Errorf("read a first byte: %w", err)
	}
	return first[:], nil
}

// refuse answers a connection as a closed port would.
func (s *Server) refuse(l *link, to netip.AddrPort, reason string, err error) {
	s.countRefused(l, to, reason, err)
	_ = l.client.SetLinger(0)
}

func (s *Server) countRefused(l *link, to netip.AddrPort, reason string, err error) {
	s.refused.add(reason, 1)
	s.Noise.Warn("connection refused", zap.String("reason", reason), zap.Error(err),
		zap.Stringer("client", l.client.RemoteAddr()), zap.Stringer("original_destination", to))
}

// logEnded tells of a connection that came to nothing. One that just ended is
// not worth a word.
func (s *Server) logEnded(l *link, to netip.AddrPort, err error) {
	if !errors.Is(err, io.EOF) {
		s.Noise.Info("connection ended before an upgrade", zap.Error(err),
			zap.Stringer("client", l.client.RemoteAddr()), zap.Stringer("target", to))
	}
}

// dial connects l to its target, now that its client has said something.
func (s *Server) dial(l *link, to netip.AddrPort) error {
	s.quiet.end(l)
	d := net.Dialer{Timeout: s.HeadTimeout}
	if s.Mark != 0 {
		d.Control = Marking(s.Mark)
	}
	conn, err := d.Dial("tcp", to.String())
	if err != nil {
		return fmt.Errorf("dial the target: %w", err)
	}
	l.connect(conn.(*net.TCPConn), to)
	return nil
}

// intercept is where both entries meet: a client whose first bytes may have
// been read already, and its target.
func (s *Server) intercept(l *link, first []byte) {
	large := s.largeHeads()
	client, target := newWire(&resumed{l.client, first}, large), newWire(l.target, large)
	client.owing = func() func() {
		s.quiet.begin(l)
		return func() { s.quiet.end(l) }
	}
	if beginsTLS(client, s.HeadTimeout) {
		s.tls(l, client)
		return
	}
	up, err := s.follow(client, target)
	switch {
	case up != nil:
		s.upgraded(l, client, target, up)
	case errors.Is(err, io.EOF):
		linger(l.client, s.HeadTimeout)
	default:
		s.logEnded(l, l.to, err)
		if answerTo(l.client, err) {
			linger(l.client, s.HeadTimeout)
		}
	}
}

// largeHeads returns the places for large heads of all connections.
func (s *Server) largeHeads() largeHeads {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.large == nil {
		s.large = make(largeHeads, maxLargeHeads)
	}
	return s.large
}

// linger ends the client's connection without cutting off the last answer: a
// close with bytes unread would be a reset.
func linger(client *net.TCPConn, timeout time.Duration) {
	_ = client.CloseWrite()
	_ = client.SetReadDeadline(time.Now().Add(timeout))
	_, _ = io.Copy(io.Discard, client)
}

// listen notes a listener to be closed by Shutdown. It reports false if that
// was called already.
func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		_ = ln.Close()
		return false
	}
	s.listeners = append(s.listeners, ln)
	return true
}

func (s *Server) add(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	if s.links == nil {
		s.links = make(map[*link]struct{})
	}
	s.links[l] = struct{}{}
	s.served.Add(1)
	return true
}

func (s *Server) remove(l *link) {
	s.mu.Lock()
	delete(s.links, l)
	s.mu.Unlock()
	s.served.Done()
}
