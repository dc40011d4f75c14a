package intercept

import (
	"context"
	"time"
)

// farewellTime is how long a session that is ended has to tell its client.
const farewellTime = 2 * time.Second

// Shutdown accepts no more and waits for all sessions to end. When ctx ends
// first, it ends them: each tells its client why, in the words of sentence. It
// returns when the last goroutine of the server has, and reports how many
// sessions it had to end.
func (s *Server) Shutdown(ctx context.Context, sentence string) (ended int) {
	s.mu.Lock()
	s.stopping = true
	for _, ln := range s.listeners {
		_ = ln.Close()
	}
	s.mu.Unlock()

	served := make(chan struct{})
	go func() { s.served.Wait(); close(served) }()
	select {
	case <-served:
		return 0
	case <-ctx.Done():
	}
	ended = s.each(func(l *link) bool { return l.end(sentence) })
	select {
	case <-served:
	case <-time.After(farewellTime):
		s.each(func(l *link) bool { l.close(); return true })
		<-served
	}
	return ended
}

// each calls f for every link and counts how often it returns true.
func (s *Server) each(f func(*link) bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.links {
		if f(l) {
			n++
		}
	}
	return n
}
