package intercept

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	tidyEvery = time.Second / 2
	tidyLeast = 64 // sessions; below that there is not enough to be tidied
)

// Tidy gives back to the system what a crowd of sessions has taken to begin or
// to end, until ctx ends. The collector alone would do so when as much has been
// allocated again, or after two minutes: until then the stacks of copiers that
// wait are those of copiers at work, and what is free is kept. Threads it would
// never give back.
//
// It does so in the first half second in which no session begins or ends, not for
// less than an eighth of those there are: so each session pays for a share of it
// that does not depend on how many there are.
func (s *Server) Tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for tidied, seen, again := 0, 0, false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changes, active := s.changes()
		if due := changes-tidied >= tidyLeast+active/8; changes == seen && (due || again) {
			endThreads()
			debug.FreeOSMemory()
			tidied, again = changes, due
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

// fewThreads are left to wait for work, and at most so many are ended at once:
// where a disk hangs most are not idle, and others would be made to be ended.
const (
	fewThreads = 16
	endAtOnce  = 128
)

// endThreads ends threads that have nothing to do. Whoever waits for a disk takes
// one, and none ends by itself; but that of a goroutine does which ends while it
// is locked to it (runtime.LockOSThread).
//
// What a thread had is freed when the next one is made (runtime.allocm). So as many
// are locked as there are: of some, such as the runtime's own, no goroutine can be
// had, and others are made in their place.
func endThreads() {
	threads, _ := os.ReadDir("/proc/self/task")
	all := min(len(threads), fewThreads+endAtOnce)
	var locked sync.WaitGroup
	locked.Add(all)
	for i := range all {
		go func() {
			runtime.LockOSThread()
			locked.Done()
			locked.Wait() // or one thread after the other would be made for the next
			if i < fewThreads {
				runtime.UnlockOSThread()
			}
		}()
	}
	locked.Wait()
}
