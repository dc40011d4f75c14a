package admin

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// A Check is one thing that must be so for exectape to be ready.
type Check struct {
	Name string       // one word or two, as /readyz shows it
	Err  func() error // why it is not so; nil: it is
}

// checkWait is how long a check may take before it counts as failed. A disk that
// hangs never answers.
const checkWait = 2 * time.Second

// A check is a Check of which at most one run is under way at any time.
type check struct {
	Check

	mu      sync.Mutex // guards running
	running *checking  // nil: no run is under way
}

// A checking is a run of a check, for which all wait who ask meanwhile.
type checking struct {
	since time.Time
	done  chan struct{} // closed when err is there
	err   error
}

// run returns why the check fails. A run that takes too long goes on: nobody
// waits for its goroutine, which ends when the check does.
func (c *check) run() error {
	r := c.join()
	late := time.NewTimer(checkWait)
	defer late.Stop()
	select {
	case <-r.done:
		return r.err
	case <-late.C:
		return fmt.Errorf("no answer for %s", time.Since(r.since).Round(time.Second))
	}
}

// join returns the run that is under way, or one that it begins.
func (c *check) join() *checking {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		r := &checking{since: time.Now(), done: make(chan struct{})}
		c.running = r
		go func() {
			r.err = c.Err()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.running = nil
			close(r.done)
		}()
	}
	return c.running
}

// A readiness is the checks, all of which must pass.
type readiness []*check

func newReadiness(checks []Check) readiness {
	all := make(readiness, len(checks))
	for i, c := range checks {
		all[i] = &check{Check: c}
	}
	return all
}

// tell runs the checks side by side, writes a line for each to w, and reports
// whether all pass.
func (r readiness) tell(w io.Writer) (ready bool) {
	errs := make([]error, len(r))
	var asked sync.WaitGroup
	for i, c := range r {
		asked.Go(func() { errs[i] = c.run() })
	}
	asked.Wait()
	ready = true
	for i, c := range r {
		if errs[i] != nil {
			ready = false
			fmt.Fprintf(w, "%s: %v\n", c.Name, errs[i])
		} else {
			fmt.Fprintf(w, "%s: ok\n", c.Name)
		}
	}
	return ready
}

// An overheard readiness is what anyone on the node may ask for, as often as he
// likes. It is found out once in a while, because that writes to the disk.
type overheard struct {
	readiness

	mu    sync.Mutex // guards what follows; held while it is found out
	next  time.Time  // when to find it out again
	ready bool
	lines []byte
}

// overheardFor is how long what was found out is told.
const overheardFor = time.Second

func (o *overheard) tell(w io.Writer) (ready bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !time.Now().Before(o.next) {
		var lines bytes.Buffer
		o.ready = o.readiness.tell(&lines)
		o.lines, o.next = lines.Bytes(), time.Now().Add(overheardFor)
	}
	_, _ = w.Write(o.lines)
	return o.ready
}
