package intercept

import (
	"errors"
	"slices"

	"exectape/session"
)

// Sessions returns what there is to say of each session that goes on, the
// oldest first.
func (s *Server) Sessions() []session.Summary {
	conns := s.conns()
	all := make([]session.Summary, 0, len(conns))
	for _, conn := range conns {
		all = append(all, conn.Live())
	}
	slices.SortFunc(all, func(a, b session.Summary) int { return a.Start.Compare(b.Start) })
	return all
}

// Active returns how many sessions go on.
func (s *Server) Active() int { return len(s.conns()) }

func (s *Server) conns() (all []*session.Conn) {
	s.each(func(l *link) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.conn != nil {
			all = append(all, l.conn)
		}
		return true
	})
	return all
}

// Accepting returns nil if connections are accepted, and else why not.
func (s *Server) Accepting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		return errors.New("exectape is being stopped")
	case len(s.listeners) == 0:
		return errors.New("nothing listens yet")
	}
	return s.unable
}
