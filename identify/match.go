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
	if err := e.container.describe(r.index.bundles); err != nil {
		r.noted(err)
	}
	for t := range r.traces {
		if t.mayStart(e) {
			r.link(t, e)
		}
	}
	if len(e.may) == 0 && !e.strange && r.index.session(e) {
		r.strangers()
	}
	for t := range e.may {
		r.open(t)
	}
	r.settleExec(e)
}

// gone takes an exec that has ended, of which all is known now.
func (r *Resolver) gone(e *exec) { r.settleExec(e) }

// strangers notes that a session went another way: for a while, an exec that
// only one session here can have made may be somebody else's all the same.
func (r *Resolver) strangers() { r.doubt = time.Now().Add(startTime) }

// startTime is how long after a connection's beginning or end its exec may still
// be made: the streams must be there within 30 s (k8s.io/cri-streaming,
// DefaultStreamCreationTimeout).
const startTime = 30 * time.Second

// maxMay bounds how many execs a session may have started. One that waits for
// its streams for long would gather every exec of the node.
const maxMay = 64

func (r *Resolver) link(t *trace, e *exec) {
	if t.vague || len(t.may) == maxMay {
		t.vague = true
		r.forget(t)
		e.strange = true
		return
	}
	t.may[e] = struct{}{}
	e.may[t] = struct{}{}
}

// forget drops what t may have started, which it may have started all the same.
func (r *Resolver) forget(t *trace) {
	for e := range t.may {
		e.strange = true
		delete(e.may, t)
	}
	clear(t.may)
}

// settleExec gives an exec to the only session that can have made it.
func (r *Resolver) settleExec(e *exec) {
	if e.owner != nil || e.strange || len(e.may) != 1 || time.Now().Before(r.doubt) || !r.index.session(e) {
		return
	}
	for t := range e.may {
		if !t.blind {
			r.assign(t, e)
		}
	}
}

// settleTrace gives a session that has started the only exec that it can have
// made.
func (r *Resolver) settleTrace(t *trace) {
	if t.exec != nil || !t.began || t.blind || t.vague || len(t.may) != 1 {
		return
	}
	for e := range t.may {
		r.assign(t, e)
	}
}

// assign gives e to t. What that leaves to others may settle them, too.
func (r *Resolver) assign(t *trace, e *exec) {
	t.exec, e.owner = e, t
	delete(r.traces, t)
	others, sessions := t.may, e.may
	t.may, e.may = map[*exec]struct{}{}, map[*trace]struct{}{}
	r.open(t)
	for other := range others {
		if other != e {
			delete(other.may, t)
		}
	}
	for session := range sessions {
		if session != t {
			delete(session.may, e)
		}
	}
	for other := range others {
		r.settleExec(other)
	}
	for session := range sessions {
		r.settleTrace(session)
		session.publish()
	}
	t.publish()
}

// exclude drops those of t's execs that it can't have started after all.
func (r *Resolver) exclude(t *trace, wrong func(*exec) bool) {
	for e := range t.may {
		if wrong(e) {
			delete(t.may, e)
			delete(e.may, t)
			r.settleExec(e)
		}
	}
	r.settleTrace(t)
}
