package peer

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"exectape/session"
	"exectape/sockdiag"
)

// A Finder finds processes. New makes one, and Run finds what Find has asked
// for.
type Finder struct {
	proc  string
	asked chan *question
	known []int // Run's: who was found before, the last one first
}

// A question is a socket whose process is looked for.
type question struct {
	socket sockdiag.Socket
	answer chan session.Peer // has room for it
}

// maxAsked bounds how many questions wait; beyond, only the kernel is asked. And
// maxKnown how many processes are looked at before all others: a node has one
// kubelet, but somebody may be using crictl.
const (
	maxAsked = 1024
	maxKnown = 8
)

// rest is how many times as long as a search took there is none.
const rest = 10

// New returns a Finder that looks below proc, which is /proc.
func New(proc string) *Finder {
	return &Finder{proc: proc, asked: make(chan *question, maxAsked)}
}

// Find finds out who has the socket of a connection's other end, from local to
// remote as that knows them. What it returns tells it, once if at all. Find asks
// the kernel, which takes microseconds, and leaves the rest to Run.
func (f *Finder) Find(local, remote netip.AddrPort) <-chan session.Peer {
	q := &question{answer: make(chan session.Peer, 1)}
	var err error
	if q.socket, err = sockdiag.Connected(local, remote); err != nil || q.socket.Inode == 0 {
		return nil // it is another node's or pod's, or has ended
	}
	select {
	case f.asked <- q:
	default:
		q.unknown()
	}
	return q.answer
}

// Run answers until ctx ends.
func (f *Finder) Run(ctx context.Context) {
	var missing []*question // not to be found among the known ones
	var search <-chan time.Time
	var rested time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-f.asked:
			switch {
			case f.amongKnown(q):
			case len(missing) == maxAsked:
				q.unknown()
			default:
				missing = append(missing, q)
				if search == nil {
					search = time.After(time.Until(rested))
				}
			}
		case <-search:
			begin := time.Now()
			f.search(missing)
			missing, search = nil, nil
			rested = time.Now().Add(rest * time.Since(begin))
		}
	}
}

// amongKnown answers q if a process has its socket that had one before.
func (f *Finder) amongKnown(q *question) bool {
	for _, pid := range f.known {
		if inodes, _ := f.sockets(pid); slices.Contains(inodes, q.socket.Inode) {
			f.found(q, pid)
			return true
		}
	}
	return false
}

// search answers all of missing.
func (f *Finder) search(missing []*question) {
	for _, pid := range f.pids() {
		inodes, _ := f.sockets(pid) // it has ended, or is not ours to see
		missing = slices.DeleteFunc(missing, func(q *question) bool {
			found := slices.Contains(inodes, q.socket.Inode)
			if found {
				f.found(q, pid)
			}
			return found
		})
		if len(missing) == 0 {
			return
		}
	}
	for _, q := range missing {
		q.unknown()
	}
}

// found answers q, and remembers who it was.
func (f *Finder) found(q *question, pid int) {
	p := session.Peer{UID: q.socket.UID, PID: pid}
	p.Name, p.Executable = f.describe(pid)
	q.answer <- p
	f.known = slices.DeleteFunc(f.known, func(other int) bool { return other == pid })
	f.known = append([]int{pid}, f.known[:min(len(f.known), maxKnown-1)]...)
}

// unknown answers with what the kernel said.
func (q *question) unknown() { q.answer <- session.Peer{UID: q.socket.UID} }
