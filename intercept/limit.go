package intercept

import (
	"fmt"
	"time"

	"exectape/session"

	"go.uber.org/zap"
)

// admit takes one of the places that sessions have, and reports false if there
// is none.
func (s *Server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.MaxSessions > 0 && s.sessions >= s.MaxSessions {
		return false
	}
	s.sessions++
	s.admitted++
	return true
}

// leave gives it back.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions--
}

// beyond is what becomes of a session that there is no place for. If it may go
// on it is spliced, as a port-forward is: that takes two descriptors, and no
// memory to speak of.
func (s *Server) beyond(l *link, client, target *wire, up *upgrade) {
	info, _ := s.describe(l.to, up)
	err := fmt.Errorf("%d are being recorded, which is the limit", s.MaxSessions)
	fields := []zap.Field{zap.String("verb", info.Verb), zap.String("protocol", info.Protocol), zap.Stringer("target", l.to), zap.Error(err)}
	if s.Policy == session.FailClosed {
		s.Noise.Error("session refused", fields...)
		s.missed(info, session.EndRefused, 0)
		s.turnAway(l, client, err)
		return
	}
	s.Noise.Error("session not recorded", fields...)
	s.unrecorded.add(unrecordedTooMany, s.pass(l, client, target))
	s.missed(info, session.EndUnrecorded, time.Since(info.Start))
}
