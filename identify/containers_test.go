package identify_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
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
