package identify_test

import (
	"fmt"
	"os"
	"testing"

	"exectape/session"
)

func TestASessionThatShowsSomethingHasStarted(t *testing.T) {
	s, r := twoContainers(t)
	s.writesPids(r)
	first, second := exec(r), exec(r)
	first.opens(shell.streams()...)
	second.opens(shell.streams()...)
	s.made("a", "e1", shell)
	s.made("b", "e2", shell)
	s.started("b", "e2")
	first.shows()
	first.want(t, "exact shop/web/b")
	second.want(t, "exact shop/web/a")
}

func TestAnExecThatHasGoneBeforeItWasSeenMayHaveShownSomething(t *testing.T) {
	s, r := twoContainers(t)
	s.writesPids(r)
	c := exec(r)
	c.opens(plain.streams()...)
	s.must(os.RemoveAll(s.fifos("a", "e1", plain))) // all of it before anybody looks
	c.shows()
	c.exits()
	c.want(t, "exact shop/web/a")
}

func TestASessionThatEndsTakesItsFIFOsAlong(t *testing.T) {
	s, r := twoContainers(t)
	first, second := exec(r), exec(r)
	first.opens(shell.streams()...)
	second.opens(shell.streams()...)
	s.fifos("a", "e1", shell)
	gone := s.fifos("b", "e2", shell)
	first.shows()
	second.shows()
	first.want(t, "ambiguous a b")
	s.must(os.RemoveAll(gone))
	first.exits()
	first.want(t, "exact shop/web/b")
	second.want(t, "exact shop/web/a")
}

func TestASessionThatIsKilledMayLeaveItsFIFOs(t *testing.T) {
	s, r := twoContainers(t)
	c := exec(r)
	c.opens(plain.streams()...)
	probe := s.fifos("a", "probe", plain)
	s.fifos("b", "e2", plain)
	s.must(os.RemoveAll(probe))
	c.See(session.Event{Kind: session.Status, Exit: &session.Exit{Code: 137}})
	c.want(t, "ambiguous a b")
}

func TestTwoSessionsAreTheOneOrTheOther(t *testing.T) {
	s, r := twoContainers(t)
	first, second := exec(r), exec(r)
	first.opens(shell.streams()...)
	second.opens(shell.streams()...)
	s.fifos("a", "e1", shell)
	s.fifos("b", "e2", shell)
	first.shows()
	second.shows()
	first.want(t, "ambiguous a b")
	second.want(t, "ambiguous a b")
}

func TestWhatIsKnownOfOneSessionIsKnownOfTheOther(t *testing.T) {
	s, r := twoContainers(t)
	first, second := exec(r), exec(r)
	first.opens(shell.streams()...)
	second.opens(shell.streams()...)
	s.fifos("a", "e1", shell)
	first.shows() // before there was another
	s.fifos("b", "e2", shell)
	second.shows()
	first.want(t, "exact shop/web/a")
	second.want(t, "exact shop/web/b")
}

func TestAClientThatNeverOpensItsLastStreamMisleadsNobody(t *testing.T) {
	s, r := twoContainers(t)
	idle := exec(r)
	idle.opens(session.ErrorStream, session.Stdin)
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("b", "e1", shell)
	r.CatchUp()
	c.want(t, "") // it could be the other's
	c.shows()
	c.want(t, "exact shop/web/b")
	s.fifos("a", "e2", shell)
	idle.shows()
	idle.want(t, "exact shop/web/a")
}

func TestBesideVeryManySessionsThatWaitOneIsKnownByItsOwnStartOnly(t *testing.T) {
	s, r := twoContainers(t)
	for range 300 {
		exec(r).opens(session.ErrorStream, session.Stdin)
	}
	first, second := exec(r), exec(r)
	first.opens(shell.streams()...)
	s.fifos("a", "e1", shell)
	first.shows()
	first.want(t, "exact shop/web/a")
	second.opens(shell.streams()...)
	third := exec(r)
	third.opens(shell.streams()...)
	gone := s.fifos("a", "e2", shell)
	s.fifos("b", "e3", shell)
	second.shows()
	second.want(t, "ambiguous a b")
	s.must(os.RemoveAll(gone))
	second.exits()
	second.want(t, "exact shop/web/a")
	third.shows()
	third.want(t, "exact shop/web/b")
}

// A hundred that begin at once are let through before they have started.
func TestOfVeryManySessionsAtOnceEachIsOfTheContainersThatTheyAreIn(t *testing.T) {
	for name, c := range map[string]struct{ last, want string }{
		"one":     {"a", "exact shop/web/a"},
		"another": {"b", "ambiguous a b"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := twoContainers(t)
			crowd := make([]*client, 100)
			for i := range crowd {
				crowd[i] = exec(r)
				crowd[i].opens(pipe.streams()...)
			}
			for i := range len(crowd) - 1 {
				s.fifos("a", fmt.Sprint("e", i), pipe)
			}
			s.fifos(c.last, "last", pipe)
			for _, session := range crowd {
				session.shows()
			}
			for _, session := range crowd {
				session.want(t, c.want)
			}
		})
	}
}

func TestAnAcceptedStreamSaysThatASessionHadNotStarted(t *testing.T) {
	s, r := twoContainers(t)
	slow, c := exec(r), exec(r)
	slow.opens(session.ErrorStream, session.Stdin, session.Stdout)
	c.opens(shell.streams()...)
	s.fifos("b", "e1", shell)
	slow.offers(session.ResizeStream)
	c.want(t, "")
	slow.See(session.Event{Kind: session.Accepted, Stream: session.ResizeStream})
	c.want(t, "exact shop/web/b")
}

func TestWhatCannotBeDecodedCanBeAnyExec(t *testing.T) {
	s, r := twoContainers(t)
	hidden, c := exec(r), exec(r)
	hidden.See(session.Event{Kind: session.Raw, From: session.FromClient})
	c.opens(shell.streams()...)
	s.fifos("b", "e1", shell)
	r.CatchUp()
	c.want(t, "")
	hidden.Close()
	hidden.want(t, "likely shop/web/b")
}
