package peer

import (
	"time"

	"exectape/sockdiag"
)

// A search goes through all open files of some processes, for all that were asked
// for by then.
type search struct {
	among  func() (pids []int)
	asked  map[uint32]*question // by inode
	due    <-chan time.Time     // nil: nothing is asked for
	rested time.Time
}

// rest is how many times as long as a search took there is none.
const rest = 10

// add has the next search look for q. Nobody asks twice for a socket.
func (s *search) add(q *question) {
	if other := s.asked[q.socket.Inode]; other != nil || len(s.asked) == maxAsked {
		q.unknown()
		return
	}
	if s.asked == nil {
		s.asked = make(map[uint32]*question)
	}
	s.asked[q.socket.Inode] = q
	if s.due == nil {
		s.due = time.After(time.Until(s.rested))
	}
}

// do searches, and returns what was not found.
func (f *Finder) do(s *search) (left map[uint32]*question) {
	begin := time.Now()
	left, s.asked, s.due = s.asked, nil, nil
	for _, pid := range s.among() {
		if len(left) == 0 {
			break
		}
		// An error: it has ended, or is not ours to see.
		_ = sockdiag.OpenSockets(f.path(pid), maxFiles, func(file int, inode uint32) (more bool) {
			if q := left[inode]; q != nil {
				delete(left, inode)
				f.found(q, pid, file)
			}
			return len(left) > 0
		})
	}
	s.rested = time.Now().Add(rest * time.Since(begin))
	return left
}
