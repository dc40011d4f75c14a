package identify

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"exectape/session"

	"go.uber.org/zap"
)

// A Resolver finds out which containers sessions belong to. New makes one, and
// Run keeps it up to date.
type Resolver struct {
	state, tmp string
	wait       time.Duration
	log        *zap.Logger

	ear atomic.Pointer[inotify] // that of the source

	mu       sync.Mutex // guards all that follows, traces and source included; only short and local reads are done with it
	source   source
	up       bool                // the source is open
	runs     *processes          // nil: what execs run is not known
	number   uint64              // how many execs were made
	traces   map[*trace]struct{} // of sessions whose execs matter still
	ended    []*trace            // those of them that have ended, the first one first
	doubt    time.Time           // until then, execs may be made by sessions that are not known here
	queue    []*trace            // at the gate
	starting []*trace            // let through, and waited for
	stats    Stats
	quiet    bool // the log has it already that there is nothing to see
}

// Stats are what a Resolver has done so far.
type Stats struct {
	Sessions   map[session.Confidence]int64 // that have ended, by how well they were known; "": not at all
	Passed     int64                        // sessions that came to the gate
	Exhausted  int64                        // those of them that waited as long as they may
	HeldFor    time.Duration                // how long all of them waited
	Containers int                          // that are watched now
	Watches    int
}

// New returns a Resolver for the containerd with that state directory, such as
// /run/containerd, which may still have to be made, and that starts its shims with
// tmp as their TMPDIR; or for the CRI-O with that TMPDIR, and that directory as the
// run root of its storage. No session is held for longer than wait. What New opens
// Run closes.
func New(state, tmp string, wait time.Duration, log *zap.Logger) *Resolver {
	r := &Resolver{
		state: state, tmp: tmp, wait: wait, log: log,
		traces: make(map[*trace]struct{}),
		stats:  Stats{Sessions: make(map[session.Confidence]int64)},
	}
	var err error
	if r.runs, err = openProcesses(tmp); err != nil {
		log.Warn("what execs run is not known", zap.Error(err))
	}
	if _, err := r.begin(); err != nil {
		r.unseen(err)
	}
	return r
}

// reopenPause is how often it is tried to watch a state directory that is not
// there.
const reopenPause = time.Second

// Run follows what happens in the state directory until ctx ends.
func (r *Resolver) Run(ctx context.Context) {
	var watching sync.WaitGroup
	if r.runs != nil {
		watching.Go(func() { r.runProcesses(ctx, r.runs) })
	}
	defer watching.Wait()
	for ctx.Err() == nil {
		in, err := r.begin()
		if err != nil {
			r.unseen(err)
			select {
			case <-ctx.Done():
			case <-time.After(reopenPause):
			}
			continue
		}
		stop := context.AfterFunc(ctx, r.end)
		for in.wait() == nil {
			r.mu.Lock()
			r.catchUp()
			r.mu.Unlock()
		}
		stop()
		r.end()
	}
}

// runProcesses follows what execs run until ctx ends.
func (r *Resolver) runProcesses(ctx context.Context, runs *processes) {
	defer context.AfterFunc(ctx, r.endProcesses)()
	var taking sync.WaitGroup
	defer taking.Wait()
	defer close(runs.found)
	taking.Go(func() {
		for s := range runs.found {
			r.runsThere(s)
		}
	})
	for runs.in.wait() == nil {
		runs.catchUp()
	}
}

// runsThere takes what an exec runs, unless it knows no such exec.
func (r *Resolver) runsThere(s shape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.catchUp()
	if !r.up {
		return
	}
	e := r.source.find(s.container, s.id)
	if e == nil {
		e = r.findEnded(s.container, s.id)
	}
	if e != nil {
		e.process = s.process
		r.source.place(e, s)
		r.shaped(e)
	}
}

// findEnded returns an exec that has ended, if it is not known whose it was.
func (r *Resolver) findEnded(container, id string) *exec {
	for t := range r.traces {
		for e := range t.may {
			if e.id == id && (e.container == nil || e.container.id == container) {
				return e
			}
		}
	}
	return nil
}

func (r *Resolver) endProcesses() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs.in.close()
	r.runs = nil
}

// begin opens the source, unless it is open.
func (r *Resolver) begin() (*inotify, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up {
		return r.source.ear(), nil
	}
	x, err := r.openSource(r.hear())
	if err != nil {
		return nil, err
	}
	r.source, r.up, r.quiet = x, true, false
	r.ear.Store(x.ear())
	containers, _ := x.size()
	r.log.Info("containers are known", zap.String("runtime", x.name()), zap.String("state", r.state), zap.Int("containers", containers))
	return x.ear(), nil
}

// end closes the source.
func (r *Resolver) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up {
		r.lose()
	}
}

// lose closes the source: what happens now is not seen.
func (r *Resolver) lose() {
	r.up = false
	r.source.close()
	r.blind()
}

// blind notes that execs may be missed.
func (r *Resolver) blind() {
	for t := range r.traces {
		t.blind = true
		for e := range t.may {
			e.strange = true
		}
	}
}

// hear returns the moment that it is. Who calls it catches up at once.
func (r *Resolver) hear() moment {
	if ear := r.ear.Load(); ear != nil {
		return ear.hear()
	}
	return 0
}

// catchUp takes all that has happened in the state directory so far.
func (r *Resolver) catchUp() {
	if !r.up {
		return
	}
	if err := r.source.catchUp(); err != nil {
		r.log.Warn("containers have to be looked for anew", zap.Error(err))
		r.lose()
		return
	}
	if r.source.blind() {
		r.blind()
	}
	r.forgetEnded(time.Now())
}

// forgetEnded drops sessions that start nothing any more.
func (r *Resolver) forgetEnded(now time.Time) {
	for len(r.ended) > 0 && now.Sub(r.ended[0].closed) > startTime {
		r.drop(r.ended[0])
		r.ended = r.ended[1:]
	}
}

// drop forgets a session.
func (r *Resolver) drop(t *trace) {
	r.forget(t)
	delete(r.traces, t)
}

// Trace begins to follow a session, before the target gets its request. verb is
// "attach" only if the target can't take it for anything else.
func (r *Resolver) Trace(verb string, websocket bool) session.Tracer {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &trace{r: r, attach: verb == "attach", websocket: websocket, may: make(map[*exec]struct{}), blind: !r.up}
	t.typed.Store(uint64(never))
	r.traces[t] = struct{}{}
	return t
}

// Doubt takes that sessions may have begun that are not traced, and may still
// start. Each exec that nobody has yet, and each that is made within startTime,
// may be theirs, however long it takes until somebody could be given it.
func (r *Resolver) Doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strangers()
	for t := range r.traces {
		for e := range t.may {
			e.strange = true
		}
	}
}

// Stats returns what was done so far.
func (r *Resolver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Sessions = make(map[session.Confidence]int64, len(r.stats.Sessions))
	for confidence, n := range r.stats.Sessions {
		s.Sessions[confidence] = n
	}
	if r.up {
		s.Containers, s.Watches = r.source.size()
	}
	return s
}

func (r *Resolver) count(c session.Confidence) { r.stats.Sessions[c]++ }

// unseen logs, once, that there is nothing to see.
func (r *Resolver) unseen(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quiet {
		return
	}
	r.quiet = true
	if errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("no containers are known: there is no runtime's state, see EXECTAPE_RUNTIME_STATE", zap.String("state", r.state))
		return
	}
	r.log.Error("no containers are known", zap.String("state", r.state), zap.Error(err))
}

// noted logs what keeps a container from having names.
func (r *Resolver) noted(err error) { r.log.Debug("a container has no names", zap.Error(err)) }
