package intercept

import (
	"net/netip"
	"time"

	"exectape/session"

	"go.uber.org/zap"
)

// beginsTLS reports whether the client begins with a TLS handshake record (type
// 22: RFC 8446, section 5.1). No HTTP method begins with that byte. An error
// comes again when a request is read.
func beginsTLS(client *wire, timeout time.Duration) bool {
	defer client.owes()()
	_ = client.SetReadDeadline(time.Now().Add(timeout))
	first, err := client.br.Peek(1)
	return err == nil && first[0] == 22
}

// tls serves a connection that can't be read: it is spliced, and not recorded,
// or refused. It is logged once for each target, and counted.
func (s *Server) tls(l *link, client *wire) {
	if s.countTLS(l.to) == 1 {
		s.Log.Warn("the target is spoken to over TLS, which can't be recorded", zap.Stringer("target", l.to), zap.Stringer("policy", s.Policy))
	}
	c, t := &end{Duplex: l.client, socket: l.client}, &end{Duplex: l.target, socket: l.target}
	if s.Policy == session.FailClosed {
		reset(c, t)
		return
	}
	_ = client.SetReadDeadline(time.Time{})
	if err := early(client, newWire(l.target, nil)); err != nil {
		reset(c, t)
		return
	}
	err := splice(c, t, s.HalfCloseIdle)
	s.unrecorded.add(unrecordedTLS, c.sent.Load()+t.sent.Load())
	s.Log.Debug("TLS connection ended", zap.Error(err))
}

// countTLS counts a connection over TLS and returns how many there were to the
// same target.
func (s *Server) countTLS(to netip.AddrPort) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overTLS == nil {
		s.overTLS = make(map[netip.AddrPort]int)
	}
	s.overTLS[to]++
	return s.overTLS[to]
}

// OverTLS returns how many connections to each target could not be recorded
// because they were over TLS.
func (s *Server) OverTLS() map[netip.AddrPort]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[netip.AddrPort]int, len(s.overTLS))
	for to, n := range s.overTLS {
		counts[to] = n
	}
	return counts
}
