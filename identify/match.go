package identify

import "time"

// matching is what is known of who made an exec.
type matching struct {
	number  uint64              // in the order in which execs were made
	may     map[*trace]struct{} // the sessions that can have
	owner   *trace              // the one that did
	strange bool                // another can have that is not among them
}

// made takes a new exec: every session that can have started it may have.
func (r *Resolver) made(e *exec) {
	if e.old {
		return
	}
	r.number++
	e.number, e.may = r.number, make(map[*trace]struct{})
	e.strange = r.doubtful()
	r.describe(e)
	for t := range r.traces {
		if t.mayStart(e) {
			r.link(t, e)
		}
	}
	r.openFor(e)
	r.settle(e)
}

func (r *Resolver) describe(e *exec) {
	if e.container == nil {
		return
	}
	if err := r.source.describe(e.container); err != nil {
		r.noted(err)
	}
}

// shaped takes that more is known of an exec now, or that it never will be.
func (r *Resolver) shaped(e *exec) {
	if e.may == nil { // it was there when nobody could have made it
		return
	}
	r.describe(e)
	switch {
	case e.owner != nil:
		e.owner.publish()
	default:
		r.settle(e)
		r.openFor(e) // unless it is clear now whose it is
	}
}

// fed takes that the runtime has written to the stdin of an exec: somebody has
// typed that before.
func (r *Resolver) fed(e *exec, at moment) {
	var silent []*trace
	for t := range e.may {
		if moment(t.typed.Load()) >= at && !t.wild.Load() {
			silent = append(silent, t)
		}
	}
	for _, t := range silent {
		r.exclude(t, func(other *exec) bool { return other == e })
	}
}

// strangers notes that a session went another way: for a while, an exec that
// only one session here can have made may be somebody else's all the same.
func (r *Resolver) strangers() { r.doubt = time.Now().Add(startTime) }

func (r *Resolver) doubtful() bool { return time.Now().Before(r.doubt) }

// startTime is how long after a connection's beginning or end its exec may still
// be made: the streams must be there within 30 s (k8s.io/cri-streaming,
// DefaultStreamCreationTimeout).
const startTime = 30 * time.Second

// maxMay bounds how many execs a session may have started. One that waits for
// its streams for long would gather every exec of the node.
const maxMay = 64

func (r *Resolver) link(t *trace, e *exec) {
	if t.vague() || len(t.may) == maxMay {
		r.lump(t, e)
		return
	}
	t.may[e] = struct{}{}
	e.may[t] = struct{}{}
}

// lump takes that t may have started e, too, which are too many: of all of them
// it is kept only which containers they are in.
func (r *Resolver) lump(t *trace, e *exec) {
	if !t.vague() {
		t.among = make(map[*container]struct{})
	}
	for e := range t.may {
		t.among[e.container] = struct{}{}
	}
	if len(t.among) <= maxCandidates {
		t.among[e.container] = struct{}{}
	}
	t.beyond = e.number
	r.forget(t)
	e.strange = true
}

func unlink(t *trace, e *exec) {
	delete(t.may, e)
	delete(e.may, t)
}

// forget drops what t may have started, which it may have started all the same.
func (r *Resolver) forget(t *trace) {
	for e := range t.may {
		e.strange = true
		unlink(t, e)
	}
}

// exclude drops those of t's execs that it can't have started after all.
func (r *Resolver) exclude(t *trace, wrong func(*exec) bool) {
	var freed []*exec
	for e := range t.may {
		if wrong(e) {
			unlink(t, e)
			freed = append(freed, e)
		}
	}
	for _, e := range freed {
		r.settle(e)
	}
	if len(freed) > 0 && t.began {
		r.settle(nil, t)
	}
}

// bySession reports whether a session made e for sure, and one that is known here.
func (r *Resolver) bySession(e *exec) bool {
	return e.session() && !e.strange && !r.doubtful()
}

// settle draws the conclusions from who can belong to whom, after something of
// that has changed: for all that hangs together with an exec, or with sessions.
func (r *Resolver) settle(e *exec, sessions ...*trace) {
	p := newPuzzle(e, sessions)
	if p.large {
		r.settleAlone(sessions)
		return
	}
	for _, e := range p.execs {
		for t := range e.may {
			if !t.fits(e) {
				unlink(t, e)
			}
		}
		p.owned[e] = r.bySession(e)
	}
	execs, lost := p.solve()
	for _, e := range execs {
		e.strange = true
		r.strangers()
	}
	for _, t := range lost {
		t.blind = true
	}
	if len(execs)+len(lost) > 0 {
		r.settle(e, sessions...) // without what they were thought to be
		return
	}
	part := p.parts()
	for _, t := range p.sessions {
		own := p.started[t]
		if own != nil && part[t] != part[own] {
			r.assign(t, own)
		}
		for e := range t.may {
			if e != own && part[t] != part[e] {
				unlink(t, e)
			}
		}
	}
	for _, t := range p.sessions {
		t.publish()
	}
}

// settleAlone is settle for sessions that are part of too large a puzzle: one that
// has begun, and of which only one exec can be, has that one. What else follows is
// left open.
func (r *Resolver) settleAlone(sessions []*trace) {
	for _, t := range sessions {
		for e := range t.may {
			if !t.fits(e) {
				unlink(t, e)
			}
		}
		if begun(t) && len(t.may) == 1 {
			for e := range t.may {
				r.assign(t, e)
			}
		}
		t.publish()
	}
}

// assign gives e to t.
func (r *Resolver) assign(t *trace, e *exec) {
	t.exec, e.owner = e, t
	t.known.Store(true)
	r.source.unlisten(e)
	delete(r.traces, t)
	r.open(t)
	for other := range t.may {
		unlink(t, other)
	}
	for other := range e.may {
		unlink(other, e)
	}
}
