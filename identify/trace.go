package identify

import (
	"maps"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"exectape/session"
)

// A trace is what is known of one session. It implements [session.Tracer].
type trace struct {
	r         *Resolver
	attach    bool
	websocket bool // the target opens all streams by itself, with the request

	news  atomic.Pointer[session.Identity] // that nobody has asked for yet
	shown atomic.Bool                      // it has begun, and more output is no news
	known atomic.Bool                      // its exec is
	wild  atomic.Bool                      // there may be streams that nobody could see
	typed atomic.Uint64                    // when its client first sent something to stdin, or never

	// What the client has opened, and the target not heard of yet. It is set by
	// one goroutine, and changed with the lock, because others look at it.
	held  []session.Stream
	asked bool // the request was passed on, or one of the streams

	// What follows is guarded by the Resolver's lock.
	streams [session.ResizeStream + 1]opening
	opened  int    // how many streams
	rank    int    // of the last of them in clientOrder, and one
	odd     bool   // they are not in that order
	since   uint64 // only execs behind this one can be its own
	began   bool   // it has started, and made its exec
	over    bool   // it starts nothing any more
	closed  time.Time
	blind   bool // execs may have been missed while it went on

	// Where it may have started too many to keep count:
	beyond uint64                  // the last of them
	among  map[*container]struct{} // those that they are in

	exec *exec              // its own
	may  map[*exec]struct{} // those that can be
	told session.Identity

	gate passage
}

// opening is what a client did with the streams of one type.
type opening struct {
	opened   int
	after    uint64 // which exec was the last before the first of them
	accepted bool
}

// See implements [session.Tracer].
func (t *trace) See(e session.Event) {
	if !t.matters(e) {
		return
	}
	r := t.r
	now := r.hear() // or what happens while this waits would not be later
	if e.Kind == session.Input {
		t.typed.CompareAndSwap(uint64(never), uint64(now))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.catchUp()
	switch e.Kind {
	case session.Opened:
		t.held = append(t.held, e.Stream)
	case session.Accepted:
		t.accepted(e.Stream)
	case session.Raw:
		// In what can't be decoded any stream can be opened.
		t.wild.Store(true)
	case session.Output:
		if t.began {
			return
		}
		r.exclude(t, t.unshown(e.Stream, now))
		t.begin()
	case session.Status:
		t.ends(e.Exit.Code, now)
	}
}

// unshown returns which execs can't have written what the session began to show at
// that moment: those that had not been started, and those of whose stdout nothing
// had been read, if of another one something was. (Else it may be that this is not
// seen.)
func (t *trace) unshown(stream session.Stream, now moment) func(*exec) bool {
	read := false
	for e := range t.may {
		read = read || 0 < e.read && e.read <= now
	}
	return func(e *exec) bool { return e.started > now || e.read > now && read && stream == session.Stdout }
}

// matters reports whether anything follows from an event. From what passes in
// bulk nothing does, and it is not to wait for what others find out.
func (t *trace) matters(e session.Event) bool {
	switch e.Kind {
	case session.Opened, session.Accepted, session.Status:
		return true
	case session.Raw:
		return e.From == session.FromClient && !t.wild.Load()
	case session.Input:
		return !t.known.Load() && moment(t.typed.Load()) == never
	case session.Output:
		return !t.shown.Load()
	}
	return false
}

func (t *trace) opens(stream session.Stream) {
	o := &t.streams[stream]
	if o.opened == 0 {
		o.after = t.r.number
	}
	rank := slices.Index(clientOrder, stream)
	t.odd = t.odd || rank < t.rank
	t.rank = rank + 1
	o.opened++
	t.opened++
}

// clientOrder is the order in which client-go opens streams, of which it opens
// each once at most (remotecommand, v2.go to v5.go).
var clientOrder = []session.Stream{session.ErrorStream, session.Stdin, session.Stdout, session.Stderr, session.ResizeStream}

// accepted takes the target's answer to a stream. Whoever waits for streams
// answers them, and nobody else does: so the session starts after that
// (k8s.io/cri-streaming, httpstream.go, waitForStreams).
func (t *trace) accepted(stream session.Stream) {
	o := &t.streams[stream]
	o.accepted = true
	t.since = max(t.since, o.after)
	t.r.exclude(t, func(e *exec) bool { return e.number <= t.since || !t.fits(e) })
}

// begin takes that the session has started: its exec is there.
func (t *trace) begin() {
	t.shown.Store(true)
	if t.began {
		return
	}
	t.began = true
	t.r.open(t)
	t.r.settle(nil, t)
}

// ends takes the outcome. containerd removes an exec's FIFOs before it tells its
// exit code (pkg/cri/server, execInternal), so those that were still there
// are another's. It can't remove them where the container has gone with all in it,
// which kills a process (137).
func (t *trace) ends(code int, now moment) {
	t.over = true
	t.r.open(t)
	if code == session.NoCode {
		return
	}
	if code != killed {
		t.r.exclude(t, func(e *exec) bool { return e.ended > now })
	}
	t.begin()
}

const killed = 128 + 9

// mayStart reports whether the session can be the one that made e just now.
func (t *trace) mayStart(e *exec) bool {
	return !t.began && !t.over && t.exec == nil && t.canStart() && t.fits(e)
}

// canStart reports whether the target can have all streams that it waits for:
// at least one beside the error stream.
func (t *trace) canStart() bool {
	return !t.attach && (t.websocket && t.asked || t.wild.Load() || t.opened >= 2)
}

// fits reports whether the session's exec can look like e. It has a stdin exactly
// if its client opened one in time, and a terminal if it opened a size: of that
// only a client can be wrong that lies, see terminal.
func (t *trace) fits(e *exec) bool {
	stdin := t.streams[session.Stdin]
	tty, known := t.terminal()
	switch {
	case e.probe:
		return false
	case t.wild.Load() || e.unseen:
		return true
	case t.websocket: // whatever was asked for
		return e.stdin || e.plain
	case known && e.process != nil && e.process.tty != tty, e.stdin && stdin.opened == 0:
		return false
	}
	return e.stdin || e.plain || !stdin.accepted
}

// terminal returns whether the session has a terminal, if that can be told. A
// target counts streams and does not look what they are, so this is what the
// client says. It is believed only of one that opens its streams as client-go
// does; what it would gain by a lie see in docs/identity.md.
func (t *trace) terminal() (tty, known bool) {
	tty = t.streams[session.ResizeStream].opened > 0
	stderr := t.streams[session.Stderr].opened > 0
	return tty, tty != stderr && !t.odd
}

// Identity implements [session.Tracer].
func (t *trace) Identity() *session.Identity { return t.news.Swap(nil) }

// publish makes known what has become known.
func (t *trace) publish() {
	now := t.identity()
	if now.IsZero() || reflect.DeepEqual(now, t.told) {
		return
	}
	t.told = now
	t.news.Store(&now)
}

func (t *trace) identity() session.Identity {
	if t.attach {
		return t.attached()
	}
	containers := t.containers()
	if _, somewhere := containers[nil]; somewhere {
		clear(containers) // there are others that have no name
	}
	sourceExec := t.r.from("exec")
	switch {
	case t.exec != nil && t.exec.container == nil && t.exec.ended == never && t.closed.IsZero():
		return session.Identity{} // not yet
	case t.exec != nil && (t.exec.container == nil || t.exec.plain && t.r.source.blind()):
		return some(nil, sourceExec) // or it has none that is seen
	case t.exec != nil:
		i := one(t.exec.container, sourceExec, session.ConfidenceExact)
		if p := t.exec.process; p != nil {
			i.Command, i.User = p.args, p.user
		}
		return i
	case !t.began && t.closed.IsZero():
		return session.Identity{} // not yet
	case t.blind:
		clear(containers) // it may be none of them
	case len(containers) == 1:
		confidence := session.ConfidenceLikely
		if t.began {
			confidence = session.ConfidenceExact // it is one of several execs there
		}
		for c := range containers {
			return one(c, sourceExec, confidence)
		}
	}
	return some(containers, sourceExec)
}

// from is who says what is known from the source's execs, or containers.
func (r *Resolver) from(what string) string {
	if r.source == nil {
		return "" // nothing is
	}
	return r.source.name() + "-" + what
}

// containers are those that what it may have started is in.
func (t *trace) containers() map[*container]struct{} {
	all := make(map[*container]struct{})
	for e := range t.may {
		all[e.container] = struct{}{}
	}
	if t.vague() {
		maps.Copy(all, t.among)
	}
	return all
}

// vague reports whether it may have started an exec of which no count is kept.
func (t *trace) vague() bool { return t.beyond > t.since }

// Close implements [session.Tracer].
func (t *trace) Close() {
	r := t.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.catchUp()
	t.closed = time.Now()
	r.open(t)
	t.publish()
	r.count(t.told.Confidence)
	if t.exec != nil || t.attach || !t.began && (t.over || !t.canStart()) {
		r.drop(t)
		return
	}
	if !r.up { // what it may still start is not seen, or is a stranger's
		r.strangers()
		r.drop(t)
		return
	}
	// What it has started, or may still start, is nobody else's.
	r.ended = append(r.ended, t)
}

// Refused implements [session.Tracer].
func (t *trace) Refused() {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.closed, t.over = time.Now(), true
	t.r.open(t)
	t.r.exclude(t, func(*exec) bool { return true })
	t.r.drop(t)
}
