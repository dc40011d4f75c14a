package identify

import (
	"slices"
	"time"

	"exectape/session"
)

// passage is how a session gets through the gate.
type passage struct {
	tried  bool
	passed bool      // it was let through, and its exec is waited for
	until  time.Time // no longer than that
}

// Pass implements [session.Tracer]: it holds what the client has opened last,
// if that is what makes the session start, while another one starts whose exec
// could be taken for this one's. Only what a client sends is held, and only
// then; sessions pass in the order in which they came.
//
// Each waits at most as long as the bound, and is waited for as long at most. So
// clients that never come to an end with their streams hold nobody up for
// longer, nor again.
func (t *trace) Pass() {
	if len(t.held) == 0 && (!t.websocket || t.asked) {
		return
	}
	r := t.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if !t.gate.tried && r.up && r.wait > 0 && t.starts() {
		t.gate.tried = true
		r.hold(t)
	}
	// What it opens from here on is behind all that was made before.
	r.catchUp()
	for _, stream := range t.held {
		t.opens(stream)
	}
	t.held, t.asked = nil, true
}

// starts reports whether the session is likely to start with what is held: over
// WebSocket with the request, else when there is a terminal's size or stderr,
// which come last.
func (t *trace) starts() bool {
	last := func(s session.Stream) bool { return s == session.Stderr || s == session.ResizeStream }
	return !t.attach && (t.websocket || slices.ContainsFunc(t.held, last))
}

// hold returns when t may pass, or has waited as long as it may.
func (r *Resolver) hold(t *trace) {
	begin := time.Now()
	deadline := begin.Add(r.wait)
	r.queue = append(r.queue, t)
	for now := begin; ; now = time.Now() {
		next, free := r.free(t, now)
		if free {
			t.gate.passed, t.gate.until = true, now.Add(r.wait)
			r.starting = append(r.starting, t)
			break
		}
		if !now.Before(deadline) {
			r.stats.Exhausted++
			break
		}
		if next.IsZero() || next.After(deadline) {
			next = deadline
		}
		r.waitUntil(next)
	}
	r.queue = slices.DeleteFunc(r.queue, func(other *trace) bool { return other == t })
	r.changed()
	r.stats.Passed++
	r.stats.HeldFor += time.Since(begin)
}

// free reports whether t may pass now. If it may not, a change is to be waited
// for, or the time next if that is not zero.
func (r *Resolver) free(t *trace, now time.Time) (next time.Time, free bool) {
	r.starting = slices.DeleteFunc(r.starting, func(other *trace) bool { return !now.Before(other.gate.until) })
	for _, other := range r.starting {
		if alike(t, other) && (next.IsZero() || other.gate.until.Before(next)) {
			next = other.gate.until
		}
	}
	if !next.IsZero() {
		return next, false
	}
	for _, other := range r.queue {
		if other == t {
			return next, true
		}
		if alike(t, other) {
			return next, false
		}
	}
	return next, true
}

// alike reports whether the execs of two sessions can look alike.
func alike(t, other *trace) bool {
	stdin := func(t *trace) bool {
		return t.streams[session.Stdin].opened > 0 || slices.Contains(t.held, session.Stdin)
	}
	return t.websocket || other.websocket || stdin(t) == stdin(other)
}

// open ends that t is waited for.
func (r *Resolver) open(t *trace) {
	if !t.gate.passed {
		return
	}
	t.gate.passed = false
	r.starting = slices.DeleteFunc(r.starting, func(other *trace) bool { return other == t })
	r.changed()
}

// changed wakes all that wait.
func (r *Resolver) changed() {
	close(r.change)
	r.change = make(chan struct{})
}

// waitUntil waits, without the lock, for a change, or for the time.
func (r *Resolver) waitUntil(end time.Time) {
	change := r.change
	r.mu.Unlock()
	defer r.mu.Lock()
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-change:
	case <-timer.C:
	}
}
