package peer

import (
	"context"
	"net/netip"
	"slices"

	"exectape/session"
	"exectape/sockdiag"
)

// A Finder finds processes. New makes one, and Run finds what Find has asked
// for.
type Finder struct {
	proc  string
	asked chan *question
	known []*caller // Run's: who was found before, the last one first
}

// A question is a socket whose process is looked for.
type question struct {
	socket sockdiag.Socket
	answer chan session.Peer // has room for it
}

// A caller is a process that has opened connections.
type caller struct {
	pid   int
	files []int // where they were among its open files, the last one first
}

// maxAsked bounds how many questions wait; beyond, only the kernel is asked.
// maxKnown is how many processes are looked at before all others: a node has one
// kubelet, but somebody may be using crictl.
const (
	maxAsked = 1024
	maxKnown = 8
)

// near is how many of a caller's files are looked at before the rest: of those
// that were found to be connections the last ones, and as many behind the last.
const near = 8

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
	known, all := search{among: f.callers}, search{among: f.pids}
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-f.asked:
			if !f.nearby(q) {
				known.add(q)
			}
		case <-known.due:
			for _, q := range f.do(&known) {
				all.add(q)
			}
		case <-all.due:
			for _, q := range f.do(&all) {
				q.unknown()
			}
		}
	}
}

// nearby answers q if the socket is where a caller is likely to have it. A process
// is given the lowest number for a file that is free: mostly that of one that it
// has closed, or the next.
func (f *Finder) nearby(q *question) bool {
	for _, c := range f.known {
		at := func(file int) bool {
			inode, ok := sockdiag.OpenSocket(f.path(c.pid), file)
			return ok && inode == q.socket.Inode
		}
		for i := range c.files {
			if file := c.files[i]; at(file) {
				f.found(q, c.pid, file)
				return true
			}
		}
		for i := range near {
			if file := c.files[0] + 1 + i; at(file) {
				f.found(q, c.pid, file)
				return true
			}
		}
	}
	return false
}

// found answers q, and remembers who it was.
func (f *Finder) found(q *question, pid, file int) {
	p := session.Peer{UID: q.socket.UID, PID: pid}
	p.Name, p.Executable = f.describe(pid)
	q.answer <- p
	c := &caller{pid: pid}
	if i := slices.IndexFunc(f.known, func(c *caller) bool { return c.pid == pid }); i >= 0 {
		c = f.known[i]
	}
	c.files = first(c.files, file, near)
	f.known = first(f.known, c, maxKnown)
}

// first returns all with one at its beginning, and at most so many.
func first[T comparable](all []T, one T, most int) []T {
	all = slices.DeleteFunc(all, func(other T) bool { return other == one })
	return slices.Insert(all[:min(len(all), most-1)], 0, one)
}

// callers returns the processes that are known.
func (f *Finder) callers() (pids []int) {
	for _, c := range f.known {
		pids = append(pids, c.pid)
	}
	return pids
}

// unknown answers with what the kernel said.
func (q *question) unknown() { q.answer <- session.Peer{UID: q.socket.UID} }
