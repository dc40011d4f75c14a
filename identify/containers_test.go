package identify_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"exectape/identify"
)

func TestWhatAContainerCallsItselfChangesNothing(t *testing.T) {
	s := newState(t)
	hostile := "../../etc\x1b[2J\n\x00\",\"annotations\":{"
	s.containerOf("x", hostile, hostile, hostile, plain)
	r := s.watched(0)
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("x", "e1", shell)
	r.CatchUp()
	c.want(t, "exact "+hostile+"/"+hostile+"/"+hostile)
}

func TestABundleThatIsTooLargeHasNoNames(t *testing.T) {
	s := newState(t)
	s.containerOf("x", "shop", "web", strings.Repeat("x", 5<<20), plain)
	r := s.watched(0)
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("x", "e1", shell)
	r.CatchUp()
	c.want(t, "exact")
	if c.last.ContainerID != "x" {
		t.Errorf("the container's id is %q, want x", c.last.ContainerID)
	}
}

func TestContainersThatComeAndGoLeaveNothing(t *testing.T) {
	s, r := twoContainers(t)
	before := r.Stats()
	for i := range 1000 {
		id := fmt.Sprint("c", i)
		s.container(id, plain)
		c := exec(r)
		c.opens(pipe.streams()...)
		own := s.fifos(id, "e1", pipe)
		c.shows()
		c.want(t, "exact shop/web/"+id)
		s.must(os.RemoveAll(own))
		c.exits()
		c.Close()
		s.remove(id)
	}
	r.CatchUp()
	after := r.Stats()
	if after.Containers != before.Containers || after.Watches != before.Watches || r.Traces() != 0 {
		t.Errorf("%d containers, %d watches, %d sessions; want %d, %d, 0",
			after.Containers, after.Watches, r.Traces(), before.Containers, before.Watches)
	}
}

func TestTwoWatchesForAContainer(t *testing.T) {
	s := newState(t)
	const containers = 750
	for i := range containers {
		s.container(fmt.Sprint("c", i), shell)
	}
	if got := s.watched(0).Stats(); got.Containers != containers || got.Watches != 2*containers+2 {
		t.Errorf("%d containers, %d watches; want %d, %d", got.Containers, got.Watches, containers, 2*containers+2)
	}
}

// heap returns how much is kept in mind.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one has freed is counted then
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return int64(now.HeapAlloc)
}

// With 250 pods of three containers, each of which has sessions and probes.
func TestAContainerTakesLittleMemoryHoweverManyExecsItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		const containers = 750
		for i := range containers {
			s.container(fmt.Sprint("c", i), shell)
		}
		before := heap()
		r := s.watched(0)
		execs := func() {
			for i := range containers {
				id := fmt.Sprint("c", i)
				s.mustEnd(r, id, shell, "exact shop/web/"+id)
				s.mustEnd(r, id, plain, "exact shop/web/"+id)
				s.must(os.RemoveAll(s.fifos(id, "probe", plain)))
				s.must(os.Remove(s.bundle(id, "probe.pid")))
			}
			gone := exec(r) // and may still start
			gone.opens(shell.streams()...)
			gone.Close()
			time.Sleep(identify.StartTime + time.Second)
			r.CatchUp()
		}
		execs() // at which the names of all are read
		first := heap()
		const most = 4 << 10
		if first-before > containers*most {
			t.Errorf("a container takes %d bytes, want %d at most", (first-before)/containers, most)
		}
		const again = 2
		for range again {
			execs()
		}
		left := heap() - first
		if left > again*3*containers*16 || r.Traces() > 0 || r.Execs() != containers {
			t.Errorf("%d execs have left %d bytes, %d sessions, and %d execs; want none", again*3*containers, left, r.Traces(), r.Execs()-containers)
		}
		t.Logf("a container takes %d bytes; %d execs have left %d", (first-before)/containers, again*3*containers, left)
		runtime.KeepAlive(r)
	})
}

// mustEnd has a session from its beginning to its end.
func (s *state) mustEnd(r *identify.Resolver, id string, p process, want string) {
	s.t.Helper()
	c := exec(r)
	c.opens(p.streams()...)
	own := s.fifos(id, "e1", p)
	c.shows()
	s.must(os.RemoveAll(own))
	s.must(os.Remove(s.bundle(id, "e1.pid")))
	c.exits()
	c.Close()
	c.want(s.t, want)
}
