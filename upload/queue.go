package upload

import (
	"slices"
	"strings"
	"time"

	"exectape/sink"
)

const (
	// workers is how many casts are sent at once. They share one way to the
	// recorder; there is more than one so that no cast waits for a slow other.
	workers = 4

	// large casts may take a while, so one worker is kept from them.
	large = 8 << 20
)

// A queue has the casts that wait. What it knows that the directory doesn't is
// only when to try again.
type queue struct {
	all   map[string]*waiting // by stem, also those that are being sent
	fresh []*waiting          // that were not tried yet, oldest first
	tried []*waiting          // by their last try
	large int                 // of those being sent
	bytes int64               // of all
}

// A waiting is one cast on its way.
type waiting struct {
	sink.Waiting
	tries int       // that failed
	due   time.Time // not before
	taken bool      // it is being sent
	sent  bool      // the recorder has it, only the directory can't be made to say so
}

func (w *waiting) isLarge() bool { return w.Size >= large }

// update makes the queue what the directory says.
func (q *queue) update(there []sink.Waiting) {
	all := make(map[string]*waiting, len(there))
	fresh := len(q.fresh)
	q.bytes = 0
	for _, s := range there {
		w := q.all[s.Stem]
		if w == nil {
			w = &waiting{Waiting: s}
			q.fresh = append(q.fresh, w)
		}
		all[s.Stem] = w
		q.bytes += s.Size
	}
	if len(q.fresh) > fresh {
		slices.SortFunc(q.fresh, func(a, b *waiting) int { return strings.Compare(a.Stem, b.Stem) })
	}
	gone := func(w *waiting) bool { return all[w.Stem] != w }
	q.fresh = slices.DeleteFunc(q.fresh, gone)
	q.tried = slices.DeleteFunc(q.tried, gone)
	for stem, w := range q.all {
		if w.taken && all[stem] == nil { // its delivery will find out
			all[stem] = w
			q.bytes += w.Size
		}
	}
	q.all = all
}

// take returns the next cast to send, or nil. What was not tried yet goes first,
// so that no number of casts that always fail holds up the others.
func (q *queue) take(now time.Time, held func(*waiting) bool) *waiting {
	ready := func(w *waiting) bool {
		return !w.due.After(now) && !(w.isLarge() && q.large == workers-1) && !held(w)
	}
	for _, list := range []*[]*waiting{&q.fresh, &q.tried} {
		if i := slices.IndexFunc(*list, ready); i >= 0 {
			w := (*list)[i]
			*list = slices.Delete(*list, i, i+1)
			w.taken = true
			if w.isLarge() {
				q.large++
			}
			return w
		}
	}
	return nil
}

// putBack returns a cast that take gave out, to be tried again.
func (q *queue) putBack(w *waiting, now time.Time) {
	q.release(w)
	w.due = now.Add(backoff(w.tries, castPause))
	w.tries++
	q.tried = append(q.tried, w)
}

// drop forgets a cast that take gave out.
func (q *queue) drop(w *waiting) {
	q.release(w)
	delete(q.all, w.Stem)
	q.bytes -= w.Size
}

func (q *queue) release(w *waiting) {
	w.taken = false
	if w.isLarge() {
		q.large--
	}
}

// hurry lets everything be tried at once: what failed may have failed because
// the recorder was down.
func (q *queue) hurry() {
	for _, w := range q.tried {
		w.due = time.Time{}
	}
}
