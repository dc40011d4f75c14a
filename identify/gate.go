package identify

import (
	"slices"
	"time"

	"exectape/session"
)

// passage is how a session gets through the gate.
type passage struct {
	look   look
	turn   chan struct{} // closed when it may pass; nil: it was never held
	passed bool          // it was let through
	waited bool          // its exec is waited for
	until  time.Time     // no longer than that
	after  uint64        // which exec was the last before it passed
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
	if t.gate.turn == nil && r.up && r.wait > 0 && t.starts() {
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
	return !t.attach && (t.websocket || t.offers(session.Stderr) || t.offers(session.ResizeStream))
}

// offers reports whether a stream is among those that are held.
func (t *trace) offers(stream session.Stream) bool { return slices.Contains(t.held, stream) }

// hold returns when t may pass, or has waited as long as it may.
func (r *Resolver) hold(t *trace) {
	begin := time.Now()
	deadline := begin.Add(r.wait)
	t.gate.look, t.gate.turn = r.lookOf(t), make(chan struct{})
	r.queue = append(r.queue, t)
	r.advance(begin)
	for now := begin; !t.gate.passed && now.Before(deadline); now = time.Now() {
		r.waitAtMost(t.gate.turn, r.next(t, deadline))
		r.expire(time.Now())
	}
	if !t.gate.passed {
		r.stats.Exhausted++
		r.queue = slices.DeleteFunc(r.queue, func(other *trace) bool { return other == t })
		r.advance(time.Now())
	}
	r.stats.Passed++
	r.stats.HeldFor += time.Since(begin)
}

// next returns when it has to be looked again whether t may pass.
func (r *Resolver) next(t *trace, deadline time.Time) time.Time {
	for _, other := range r.starting {
		if other.gate.look.like(t.gate.look) && other.gate.until.Before(deadline) {
			deadline = other.gate.until
		}
	}
	return deadline
}

// expire ends that those are waited for who were for long enough.
func (r *Resolver) expire(now time.Time) {
	before := len(r.starting)
	r.starting = slices.DeleteFunc(r.starting, func(t *trace) bool {
		over := !now.Before(t.gate.until)
		t.gate.waited = t.gate.waited && !over
		return over
	})
	if len(r.starting) < before {
		r.advance(now)
	}
}

// advance lets those pass who may: nobody like them is waited for, or before
// them. It goes through the queue once.
func (r *Resolver) advance(now time.Time) {
	var before []look
	for _, t := range r.starting {
		before = append(before, t.gate.look)
	}
	r.queue = slices.DeleteFunc(r.queue, func(t *trace) bool {
		passes := !slices.ContainsFunc(before, t.gate.look.like)
		if !slices.Contains(before, t.gate.look) {
			before = append(before, t.gate.look)
		}
		if passes {
			t.gate.passed, t.gate.waited, t.gate.until, t.gate.after = true, true, now.Add(r.wait), r.number
			r.starting = append(r.starting, t)
			close(t.gate.turn)
		}
		return passes
	})
}

// A look is what is known of the exec that a session will make.
type look struct {
	stdin, tty bool
	known      bool // tty is, and will be seen of an exec
}

// like reports whether two execs can look alike.
func (l look) like(other look) bool {
	return l.stdin == other.stdin && (!l.known || !other.known || l.tty == other.tty)
}

// lookOf returns that of t, which is about to start with what is held.
func (r *Resolver) lookOf(t *trace) look {
	stdin, tty := r.source.shows()
	if t.websocket {
		return look{stdin: stdin} // see fits
	}
	opens := func(s session.Stream) bool { return t.streams[s].opened > 0 || t.offers(s) }
	l := look{stdin: stdin && opens(session.Stdin), tty: opens(session.ResizeStream)}
	l.known = (tty || r.runs != nil) && !t.odd && l.tty != opens(session.Stderr)
	return l
}

// open ends that t is waited for.
func (r *Resolver) open(t *trace) {
	if !t.gate.waited {
		return
	}
	t.gate.waited = false
	r.starting = slices.DeleteFunc(r.starting, func(other *trace) bool { return other == t })
	r.advance(time.Now())
}

// openFor ends that those are waited for who may have made e. One that has a
// terminal and one that has none start beside each other: so it takes as many
// execs as they are, or that it becomes known which of them has which.
func (r *Resolver) openFor(e *exec) {
	var waited []*trace
	made := make(map[*exec]bool)
	for t := range e.may {
		if !t.gate.waited || len(t.held) > 0 || !t.shapes(e) { // held: the target has not heard of it
			continue
		}
		waited = append(waited, t)
		for other := range t.may {
			if other.number > t.gate.after && t.shapes(other) {
				made[other] = true
			}
		}
	}
	if len(made) < len(waited) {
		return
	}
	for _, t := range waited {
		r.open(t)
	}
}

// shapes reports whether e is no longer to be taken for a probe's, if t's own is not
// to be: one that has a terminal and no stdin looks like that at first. Probes are
// frequent, and to go on for each would mean not to wait.
func (t *trace) shapes(e *exec) bool {
	l := t.gate.look
	if e.plain {
		return e.asked || e.ended != never
	}
	return !l.known || !l.tty || l.stdin || e.process != nil || e.ended != never
}

// waitAtMost waits, without the lock, until change is closed, or for the time.
func (r *Resolver) waitAtMost(change <-chan struct{}, end time.Time) {
	r.mu.Unlock()
	defer r.mu.Lock()
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-change:
	case <-timer.C:
	}
}
