package sink

import (
	"sync/atomic"

	"exectape/session"
)

// Stats are what a Dir has counted since it was opened. Every key that there can
// be is in the maps.
type Stats struct {
	Recorded map[string]int64 // bytes, by stream; "raw" is what could not be decoded
	Lost     map[string]int64 // bytes of sessions that are not in their casts, by why not
	Failures int64            // times that a cast could not be begun, written or finished
	Held     int64            // bytes that all casts took when they were last looked at
	Removed  map[string]int64 // casts, by why
}

// stats counts. Sessions do so side by side, and wait for nobody.
type stats struct {
	stdin, stdout, stderr, raw atomic.Int64
	failed, beyond             atomic.Int64
	failures                   atomic.Int64
}

// Stats returns what was counted.
func (d *Dir) Stats() Stats {
	s := &d.stats
	return Stats{
		Recorded: map[string]int64{
			"stdin": s.stdin.Load(), "stdout": s.stdout.Load(), "stderr": s.stderr.Load(), "raw": s.raw.Load(),
		},
		Lost:     map[string]int64{"disk": s.failed.Load(), "session-limit": s.beyond.Load()},
		Failures: s.failures.Load(),
		Held:     d.room.held.Load(),
		Removed:  map[string]int64{forAge: d.room.removedForAge.Load(), forRoom: d.room.removedForRoom.Load()},
	}
}

// record counts what is recorded.
func (s *stats) record(e session.Event) {
	n := int64(len(e.Data))
	switch {
	case e.Kind == session.Raw:
		s.raw.Add(n)
	case e.Stream == session.Stdin:
		s.stdin.Add(n)
	case e.Stream == session.Stdout:
		s.stdout.Add(n)
	case e.Stream == session.Stderr:
		s.stderr.Add(n)
	}
}
