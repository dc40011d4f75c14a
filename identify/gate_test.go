package identify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"exectape/session"
)

func TestSessionsWhoseProcessesWillTellThemApartStartBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		s.container("a", plain)
		s.container("b", plain)
		r := s.watched(100 * time.Millisecond)
		begin := time.Now()
		typed, piped := exec(r), exec(r)
		typed.opens(shell.streams()...)
		piped.opens(pipe.streams()...)
		if held := time.Since(begin); held > 0 {
			t.Errorf("held for %v", held)
		}
		// Of which of the two this is, it does not say: both are waited for.
		s.made("a", "e1", shell)
		r.CatchUp()
		third := exec(r)
		third.opens(pipe.streams()...)
		if held := time.Since(begin); held < 100*time.Millisecond {
			t.Errorf("another one was held for %v only", held)
		}
	})
}

func TestASessionOverWebSocketWaitsForAllThatHaveAStdin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		s.container("a", plain)
		r := s.watched(100 * time.Millisecond)
		exec(r).opens(plain.streams()...) // it has none
		begin := time.Now()
		first := &client{Tracer: r.Trace("exec", true)}
		first.Pass()
		if held := time.Since(begin); held > 0 {
			t.Errorf("held for %v", held)
		}
		for _, p := range []process{shell, pipe} {
			begin := time.Now()
			c := exec(r)
			for _, stream := range p.streams()[:3] {
				c.offers(stream)
			}
			go func() { c.offers(p.streams()[3]) }()
			synctest.Wait()
			if held := time.Since(begin); held > 0 {
				t.Errorf("%+v: held for %v before its last stream", p, held)
			}
		}
		time.Sleep(time.Second) // for those who are held
		if passed := r.Stats().Passed; passed != 4 {
			t.Errorf("%d sessions have passed, want 4", passed)
		}
	})
}

func TestASessionWithATerminalOnlyIsNotTakenForStartedByAProbe(t *testing.T) {
	s := newState(t)
	s.container("a", plain)
	r := s.watched(time.Minute)
	exec(r).opens(watch.streams()...)
	second := exec(r)
	second.opens(session.ErrorStream, session.Stdout)
	passed := make(chan struct{})
	go func() { second.offers(session.ResizeStream); close(passed) }()
	until(t, "the second is held", func() bool { return r.Queued() == 1 })
	s.fifos("a", "probe", plain)
	s.runs("a", "probe", plain, "true")
	s.made("a", "e1", watch)
	r.CatchUp()
	if r.Queued() != 1 {
		t.Error("it is let through before it is known that the first has started")
	}
	s.runs("a", "e1", watch, "top")
	r.CatchUp()
	<-passed
	if s := r.Stats(); s.Exhausted > 0 {
		t.Error("it waited as long as it may")
	}
}

func TestVeryManyWhoWaitPassInTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t)
		s.container("a", plain)
		r := s.watched(100 * time.Millisecond)
		exec(r).opens(shell.streams()...) // which never comes to an end
		const many = 1000
		done := make(chan int, many)
		for i := range many {
			c := exec(r)
			for _, stream := range shell.streams()[:3] {
				c.offers(stream)
			}
			go func() { c.offers(session.ResizeStream); done <- i }()
			synctest.Wait()
		}
		begin := time.Now()
		for range many {
			<-done
		}
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("the last one passed after %v", took)
		}
		if s := r.Stats(); s.Passed != many+1 || s.Exhausted != many-1 {
			t.Errorf("%d passed, %d of them for having waited as long as they may; want %d, %d", s.Passed, s.Exhausted, many+1, many-1)
		}
	})
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
	case <-time.After(time.Minute):
		t.Error("it waits")
	}
	release()
	<-passed
}
