package intercept

import (
	"container/list"
	"sync"
	"time"
)

// quiet has the connections whose clients owe us something: a first byte, or
// the rest of a request that began. Anyone on the node can open as many as he
// likes; a kubelet's are in it for a moment. Its zero value is ready.
type quiet struct {
	mu       sync.Mutex // guards the list, and every link's place in it
	links    list.List  // the one that has been quiet longest first
	sentAway int        // how many were
}

const (
	// MaxQuiet is how many connections may be quiet at once. Each has a descriptor.
	MaxQuiet = 4096

	// quietTime is how long each may at least. A client that is only slow to be
	// served is no quiet one.
	quietTime = time.Second
)

// begin notes that the client of l owes us something from now on.
func (q *quiet) begin(l *link) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.quietSince = time.Now()
	if l.quiet == nil {
		l.quiet = q.links.PushBack(l)
	} else {
		q.links.MoveToBack(l.quiet)
	}
}

// end notes that it does not any more. It may be called more than once.
func (q *quiet) end(l *link) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(l)
}

func (q *quiet) remove(l *link) {
	if l.quiet != nil {
		q.links.Remove(l.quiet)
		l.quiet = nil
	}
}

// room reports whether there may be one more.
func (q *quiet) room() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.links.Len() < MaxQuiet
}

// sendAway closes the connection that has been quiet longest, if that is longer
// than quietTime, and reports whether it did.
func (q *quiet) sendAway() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.links.Front()
	if first == nil {
		return false
	}
	l := first.Value.(*link)
	if time.Since(l.quietSince) < quietTime {
		return false
	}
	q.sentAway++
	q.remove(l)
	l.close()
	return true
}
