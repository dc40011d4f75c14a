package identify_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"exectape/identify"
	"exectape/session"
)

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

func TestWhereNoExecIsSeenNoSessionIsKeptInMind(t *testing.T) {
	s := newState(t)
	s.path += " that is not there"
	r := s.watched(0)
	c := exec(r)
	c.opens(shell.streams()...)
	c.shows()
	c.exits()
	c.Close()
	if n := r.Traces(); n != 0 {
		t.Errorf("%d sessions are kept in mind", n)
	}
}
