package identify_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"exectape/identify"
	"exectape/session"
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

func TestASessionThatShowsSomethingHasStarted(t *testing.T) {
	s, r := twoContainers(t)
	for _, container := range []string{"a", "b"} { // that this can be seen is to be seen first
		probe := s.fifos(container, "probe", plain)
		r.CatchUp()
		s.must(os.RemoveAll(probe))
	}
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

func TestASessionThatEndedMayStillStart(t *testing.T) {
	s, r := twoContainers(t)
	gone, c := exec(r), exec(r)
	gone.opens(shell.streams()...)
	gone.Close()
	c.opens(shell.streams()...)
	s.fifos("a", "e1", shell)
	r.CatchUp()
	c.want(t, "")
	s.fifos("b", "e2", shell)
	c.shows()
	c.want(t, "ambiguous a b")
}

func TestARefusedRequestStartsNothing(t *testing.T) {
	s, r := twoContainers(t)
	refused, c := r.Trace("exec", true), exec(r)
	refused.Pass()
	c.opens(shell.streams()...)
	s.fifos("b", "e1", shell)
	r.CatchUp()
	c.want(t, "")
	refused.Refused()
	c.want(t, "exact shop/web/b")
}

func TestAnExecOfNobodyCastsDoubtOnOthers(t *testing.T) {
	s, r := twoContainers(t)
	s.fifos("a", "e1", shell) // by a session that went another way
	r.CatchUp()
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("b", "e2", shell)
	r.CatchUp()
	c.want(t, "")
	c.shows()
	c.want(t, "exact shop/web/b")
}

func TestAnExecOfASessionThatBeganUntracedIsGivenToNobody(t *testing.T) {
	for _, order := range []string{"made before the doubt", "made in doubt"} {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newState(t)
				s.container("a", plain)
				s.container("b", plain)
				r := s.watched(0)
				c, rival := exec(r), exec(r)
				c.opens(shell.streams()...)
				rival.opens(session.ErrorStream, session.Stdin)
				doubt := []func(){r.Doubt, func() { s.fifos("b", "e1", shell); r.CatchUp() }}
				if order == "made before the doubt" {
					slices.Reverse(doubt)
				}
				for _, happens := range doubt {
					happens()
				}
				time.Sleep(identify.StartTime + time.Second)
				rival.opens(session.Stdout) // so it has not started, and c alone is left
				c.want(t, "")
				s.fifos("a", "e2", shell)
				c.shows()
				c.want(t, "ambiguous a b")
			})
		})
	}
}

func TestDoubtPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		s.container("a", plain)
		r := s.watched(0)
		r.Doubt()
		early := exec(r)
		early.opens(shell.streams()...)
		s.fifos("a", "e1", shell)
		r.CatchUp()
		early.want(t, "")
		early.shows() // what it proves itself counts
		early.want(t, "exact shop/web/a")
		time.Sleep(identify.StartTime + time.Second)
		late := exec(r)
		late.opens(shell.streams()...)
		s.fifos("a", "e2", shell)
		r.CatchUp()
		late.want(t, "exact shop/web/a")
	})
}

func TestAnAttachIsOneOfThoseThatItFits(t *testing.T) {
	s := newState(t)
	s.container("plain1", plain)
	s.container("plain2", plain)
	s.container("pipe1", pipe)
	s.container("pipe2", pipe)
	s.container("shell", shell)
	s.container("watch", watch)
	r := s.watched(0)
	for _, test := range []struct {
		p    process
		want string
	}{
		{plain, "ambiguous pipe1 pipe2 plain1 plain2"},
		{pipe, "ambiguous pipe1 pipe2"},
		{shell, "likely shop/web/shell"},
		{watch, "ambiguous shell watch"},
	} {
		c := &client{Tracer: r.Trace("attach", false)}
		c.opens(test.p.streams()...)
		c.shows()
		c.want(t, test.want)
		c.Close()
	}
}

func TestAnAttachIsTakenForNoExec(t *testing.T) {
	s, r := twoContainers(t)
	attach := &client{Tracer: r.Trace("attach", false)}
	attach.opens(shell.streams()...)
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("b", "e1", shell)
	r.CatchUp()
	c.want(t, "exact shop/web/b")
}

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

func TestSessionsThatAreAlikeStartOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		s.container("a", plain)
		s.container("b", plain)
		r := s.watched(100 * time.Millisecond)
		first, second, other := exec(r), exec(r), exec(r)
		first.opens(shell.streams()...)
		passed := make(chan struct{})
		go func() { second.opens(shell.streams()...); close(passed) }()
		synctest.Wait()
		other.opens(plain.streams()...) // waits for none that is not like it
		select {
		case <-passed:
			t.Fatal("the second passed while the first was starting")
		default:
		}
		s.fifos("a", "e1", shell)
		r.CatchUp()
		<-passed
		s.fifos("b", "e2", shell)
		r.CatchUp()
		first.want(t, "exact shop/web/a")
		second.want(t, "exact shop/web/b")
		if held := r.Stats().HeldFor; held != 0 {
			t.Errorf("held for %v, though the FIFOs were there at once", held)
		}
	})
}

func TestNobodyIsHeldForLongerThanTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		s.container("a", plain)
		r := s.watched(100 * time.Millisecond)
		for range 50 {
			exec(r).opens(shell.streams()...)
		}
		begin := time.Now()
		c := exec(r)
		c.opens(shell.streams()...)
		if held := time.Since(begin); held > 100*time.Millisecond {
			t.Errorf("held for %v", held)
		}
		begin = time.Now()
		attach := &client{Tracer: r.Trace("attach", false)}
		attach.opens(shell.streams()...)
		if held := time.Since(begin); held > 0 {
			t.Errorf("an attach was held for %v", held)
		}
	})
}

func TestASessionIsForgottenWhenItCanStartNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		s.container("a", plain)
		r := s.watched(0)
		gone := exec(r)
		gone.opens(shell.streams()...)
		gone.Close()
		if r.Traces() == 0 {
			t.Error("forgotten at once")
		}
		time.Sleep(identify.StartTime + time.Second)
		c := exec(r)
		c.opens(shell.streams()...)
		s.fifos("a", "e1", shell)
		r.CatchUp()
		c.want(t, "exact shop/web/a")
		c.Close()
		if n := r.Traces(); n != 0 {
			t.Errorf("%d sessions are kept in mind", n)
		}
	})
}

func TestNothingThatPassesInBulkWaitsForWhatIsBeingFoundOut(t *testing.T) {
	s, r := twoContainers(t)
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("a", "e1", shell)
	c.shows()
	release := r.Busy()
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		c.shows()
		c.See(session.Event{Kind: session.Input, Data: []byte("x")})
		c.See(session.Event{Kind: session.Resize, Size: session.Size{Cols: 80, Rows: 24}})
		c.See(session.Event{Kind: session.Raw, From: session.FromServer, Data: []byte("x")})
		c.Pass()
	}()
	select {
	case <-passed:
	case <-time.After(20 * time.Second):
		t.Error("it waits")
	}
	release()
	<-passed
}
