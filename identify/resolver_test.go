package identify_test

import (
	"fmt"
	"os"
	"testing"

	"exectape/identify"
)

// twoContainers is a node with the containers a and b.
func twoContainers(t *testing.T) (*state, *identify.Resolver) {
	t.Helper()
	s := newState(t)
	s.container("a", plain)
	s.container("b", plain)
	return s, s.watched(0)
}

func TestASessionWithAStdinIsKnownAsSoonAsItsFIFOsAreThere(t *testing.T) {
	for _, p := range []process{shell, pipe} {
		s, r := twoContainers(t)
		c := exec(r)
		c.opens(p.streams()...)
		s.fifos("b", "e1", p)
		r.CatchUp()
		c.want(t, "exact shop/web/b")
	}
}

func TestASessionWithATerminalOnlyIsKnownWhenItsProcessHasStarted(t *testing.T) {
	s, r := twoContainers(t)
	c := exec(r)
	c.opens(watch.streams()...)
	s.fifos("b", "e1", watch)
	r.CatchUp()
	c.want(t, "") // it looks like a probe
	s.fifos("a", "e2", plain)
	s.runs("b", "e1", watch, "top", "-b")
	r.CatchUp()
	c.want(t, "exact shop/web/b")
	if got := fmt.Sprint(c.last.Command, c.last.User); got != "[top -b]1000:100" {
		t.Errorf("it runs %q", got)
	}
}

func TestWhatASessionRunsIsKnown(t *testing.T) {
	s, r := twoContainers(t)
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("b", "e1", shell)
	r.CatchUp()
	c.want(t, "exact shop/web/b")
	s.runs("b", "another", shell, "no")
	s.runs("b", "e1", shell, "sh", "-c", "id")
	r.CatchUp()
	c.want(t, "exact shop/web/b")
	if got := fmt.Sprintf("%q %s", c.last.Command, c.last.User); got != `["sh" "-c" "id"] 1000:100` {
		t.Errorf("it runs %s", got)
	}
}

func TestAProbeIsTakenForNoSession(t *testing.T) {
	s, r := twoContainers(t)
	c := exec(r)
	c.opens(plain.streams()...)
	s.fifos("a", "probe", plain)
	r.CatchUp()
	c.want(t, "")
	s.fifos("b", "e1", plain)
	c.shows()
	c.want(t, "ambiguous a b")
}

func TestAPlainSessionIsKnownOnceItHasStartedIfNothingElseHas(t *testing.T) {
	s, r := twoContainers(t)
	s.fifos("a", "a probe before it", plain)
	c := exec(r)
	c.opens(plain.streams()...)
	own := s.fifos("b", "e1", plain)
	s.must(os.RemoveAll(own))
	c.exits()
	s.fifos("a", "a probe behind it", plain)
	c.want(t, "exact shop/web/b")
}

func TestASessionWhoseCommandFailedToStartIsLikelyAtMost(t *testing.T) {
	s, r := twoContainers(t)
	c := exec(r)
	c.opens(plain.streams()...)
	s.fifos("b", "e1", plain)
	c.fails()
	c.Close()
	c.want(t, "likely shop/web/b")
}
