package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"exectape/session"
	"exectape/sockdiag"
)

// What a process costs that has not been seen before, if it is the last of all.
func BenchmarkLookingAtAllProcesses(b *testing.B) {
	f := New("/proc")
	for b.Loop() {
		s := search{among: f.pids}
		s.add(ask(^uint32(0)))
		f.do(&s)
	}
	b.ReportMetric(float64(len(f.pids())), "processes")
}

func ask(inode uint32) *question {
	return &question{socket: sockdiag.Socket{Inode: inode}, answer: make(chan session.Peer, 1)}
}

// A process with very many files would otherwise cost a look at all of them for
// each session.
func TestACallersNextSocketIsFoundWithoutALookAtAllItsFiles(t *testing.T) {
	f := New(t.TempDir())
	const kubelet, crictl = 42, 43
	has := func(pid, file int, inode uint32) {
		t.Helper()
		files := filepath.Join(f.path(pid), "fd")
		if err := os.MkdirAll(files, 0o700); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(files, strconv.Itoa(file))
		_ = os.Remove(name)
		if err := os.Symlink(fmt.Sprintf("socket:[%d]", inode), name); err != nil {
			t.Fatal(err)
		}
	}
	has(kubelet, 300, 1)
	f.found(ask(1), kubelet, 300)
	has(crictl, 7, 2)
	f.found(ask(2), crictl, 7)

	has(kubelet, 301, 3) // the next that is free
	has(kubelet, 305, 4) // others were opened meanwhile
	has(kubelet, 300, 5) // a session has ended
	has(crictl, 7, 6)
	for _, test := range []struct {
		inode uint32
		pid   int
	}{{3, kubelet}, {4, kubelet}, {5, kubelet}, {6, crictl}} {
		q := ask(test.inode)
		if !f.nearby(q) {
			t.Errorf("socket %d is not found", test.inode)
		} else if got := <-q.answer; got.PID != test.pid {
			t.Errorf("socket %d is found in %d, want %d", test.inode, got.PID, test.pid)
		}
	}

	has(kubelet, 900, 7)
	if f.nearby(ask(7)) {
		t.Error("all files were looked at")
	}
	known := search{among: f.callers}
	q := ask(7)
	known.add(q)
	if left := f.do(&known); len(left) > 0 || (<-q.answer).PID != kubelet {
		t.Error("a look at all files does not find it")
	}
}
