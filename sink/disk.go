package sink

import (
	"fmt"
	"time"

	"go.uber.org/zap"
)

// A disk can fail, be full, or hang: then write(2) does not return, and nothing
// makes it. Whoever writes for a session may be left behind with its thread, so
// the following never depends on a call that can hang:
//
//	watch   one goroutine; sees the writes that are overdue, and touches no disk
//	ill     set by the first of them: from then on no session touches the disk
//	probe   one goroutine while anything is wrong; the only one that tries
//
// A write that fails suspends its own recording only: the next may fare better.

// ticks is how many of the watch's ticks a write may take.
const ticks = 4

// An illness is why no session touches the disk.
type illness struct{ error }

// hangs returns what there is to say of a disk that hangs.
func (d *Dir) hangs(doing string) error {
	return fmt.Errorf("%s: the disk has not answered for %v", doing, d.options.Timeout)
}

// watch sees overdue writes, until the directory is closed.
func (d *Dir) watch() {
	tick := time.NewTicker(max(d.options.Timeout/ticks, 1))
	defer tick.Stop()
	var all []*Recording
	for d.sleep(tick.C) {
		now := d.tick.Add(1)
		all = d.recordings(all)
		for _, r := range all {
			if began := r.began.Load(); began != 0 && now-began > ticks {
				r.stall(began)
			}
		}
	}
}

// sleep waits for a tick, and reports whether the directory is still open.
func (d *Dir) sleep(tick <-chan time.Time) bool {
	select {
	case <-tick:
		return true
	case <-d.open.Done():
		return false
	}
}

// recordings returns those that are not finished, in the space of last.
func (d *Dir) recordings(last []*Recording) []*Recording {
	clear(last)
	last = last[:0]
	d.mu.Lock()
	defer d.mu.Unlock()
	for r := range d.live {
		last = append(last, r)
	}
	return last
}

// trip keeps all sessions from touching the disk.
func (d *Dir) trip(why error) {
	if d.ill.CompareAndSwap(nil, &illness{why}) {
		d.log.Error("the disk hangs: nothing is recorded until it is back", zap.Error(why))
	}
	d.startProbe(why)
}

// startProbe has somebody ask the disk until all is well. It may be called with
// a recording's lock held.
func (d *Dir) startProbe(why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.probing || d.open.Err() != nil {
		return
	}
	d.probing = true
	d.log.Error("casts can't be written", zap.Error(why))
	d.working.Go(d.probe)
}

// probe tries the disk until every recording goes on.
func (d *Dir) probe() {
	began := time.Now()
	tick := time.NewTicker(max(min(time.Second, d.options.Timeout/ticks), 1))
	defer tick.Stop()
	var all []*Recording
	for d.sleep(tick.C) {
		ill := d.ill.Load()
		if d.try() != nil {
			continue
		}
		d.ill.CompareAndSwap(ill, nil)
		all = d.recordings(all)
		for _, r := range all {
			r.retry()
		}
		if d.left.Swap(false) && d.Recover(d.open) != nil {
			d.left.Store(true)
		}
		if d.endProbe() {
			d.log.Info("casts are written again", zap.Duration("after", time.Since(began).Round(time.Millisecond)))
			return
		}
	}
}

// endProbe ends the probing if all is well.
func (d *Dir) endProbe() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.probing = d.suspended.Load() > 0 || d.ill.Load() != nil
	return !d.probing
}
