package upload

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	firstPause = time.Second
	castPause  = 5 * time.Minute // the longest between two tries of one cast
	probePause = time.Minute     // the longest between two probes of the recorder

	// manyFailures in a row, of whichever casts, are the recorder's.
	manyFailures = 3
)

// A health is what is thought of the recorder. Its zero value trusts it.
type health struct {
	failures int       // in a row
	pauses   int       // since it was last well
	until    time.Time // it is left alone
	down     bool      // and the log says so
}

// A mark is the moment at which a delivery was begun.
type mark int

func (h *health) mark() mark { return mark(h.pauses) }

// ill reports whether the recorder may only be probed, by one cast at a time.
func (h *health) ill() bool { return h.pauses > 0 }

// rests reports whether it is not to be asked at all.
func (h *health) rests(now time.Time) bool { return now.Before(h.until) }

// failed takes the failure of a delivery, and reports whether the recorder is
// down since.
func (h *health) failed(begun mark, err error, now time.Time) (down bool) {
	h.failures++
	var lost unreachable
	if errors.As(err, &lost) { // no cast is to blame
		h.failures = max(h.failures, manyFailures)
	}
	after := retryAfter(err)
	if h.failures < manyFailures && after == 0 {
		return false
	}
	if begun == h.mark() { // else it was begun before the pause, and is no news
		after = max(after, backoff(h.pauses, probePause))
		h.pauses++
	}
	if until := now.Add(after); until.After(h.until) {
		h.until = until
	}
	down = !h.down && h.failures >= manyFailures
	h.down = h.down || down
	return down
}

// succeeded takes a delivery's success, and reports whether the recorder is back.
func (h *health) succeeded() (back bool) {
	back = h.down
	*h = health{}
	return back
}

// backoff returns how long to wait after so many failures before: twice as long
// each time, but not longer than most, and not all at once.
func backoff(failures int, most time.Duration) time.Duration {
	d := most
	if failures < 16 {
		d = min(most, firstPause<<failures)
	}
	return d/2 + rand.N(d/2+1)
}
