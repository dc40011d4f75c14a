package identify

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Shut is what Run does last. Without Run, a Resolver sees what has happened
// whenever it is asked something.
func (r *Resolver) Shut() {
	r.end()
	r.endProcesses()
}

// CatchUp is what Run does whenever something happens.
func (r *Resolver) CatchUp() {
	if r.runs != nil {
		r.runs.catchUp()
		for len(r.runs.found) > 0 {
			r.runsThere(<-r.runs.found)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.catchUp()
}

// Traces is how many sessions are kept in mind.
func (r *Resolver) Traces() int { return len(r.traces) + len(r.ended) }

// Execs is how many are kept in mind, with what containers run themselves.
func (r *Resolver) Execs() (n int) {
	for _, c := range r.source.(*index).known {
		n += len(c.execs)
	}
	return n
}

// StartTime is for how long a session may still start.
const StartTime = startTime

// Unheard returns how much has happened to processes that the Resolver has not
// heard of, in bytes of inotify's.
func (r *Resolver) Unheard() (int, error) { return r.runs.in.unheard() }

// UnheardOfExecs returns that of execs.
func (r *Resolver) UnheardOfExecs() (int, error) { return r.ear.Load().unheard() }

func (in *inotify) unheard() (size int, err error) {
	controlErr := in.raw.Control(func(fd uintptr) { size, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return size, errors.Join(controlErr, err)
}

// Queued is how many sessions are held at the gate.
func (r *Resolver) Queued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// Busy has the Resolver be finding something out until release is called.
func (r *Resolver) Busy() (release func()) {
	r.mu.Lock()
	return r.mu.Unlock
}
