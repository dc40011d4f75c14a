package intercept

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	tidyEvery = time.Second / 2
	tidyLeast = 64 // sessions; below that there is not enough to be tidied
)

// Tidy gives back to the system what a crowd of sessions has taken to begin or
// to end, until ctx ends. The collector alone would do so when as much has been
// allocated again, or after two minutes: until then the stacks of copiers that
// wait are those of copiers at work, and what is free is kept.
//
// It does so in the first half second in which no session begins or ends, not for
// less than an eighth of those there are: so each session pays for a share of it
// that does not depend on how many there are.
func (s *Server) Tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for tidied, seen := 0, 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changes, active := s.changes()
		if changes == seen && changes-tidied >= tidyLeast+active/8 {
			debug.FreeOSMemory()
			tidied = changes
		}
		seen = changes
	}
}

// changes returns how often a session has begun or ended, and how many there are.
func (s *Server) changes() (n, active int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitted + s.admitted - s.sessions, s.sessions
}
