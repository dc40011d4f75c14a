package peer

import (
	"testing"

	"exectape/session"
)

// What a process costs that has not been seen before, if it is the last of all.
func BenchmarkLookingAtAllProcesses(b *testing.B) {
	f := New("/proc")
	for b.Loop() {
		q := &question{answer: make(chan session.Peer, 1)}
		q.socket.Inode = ^uint32(0)
		f.search([]*question{q})
	}
	b.ReportMetric(float64(len(f.pids())), "processes")
}
