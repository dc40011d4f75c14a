package identify_test

import (
	"testing"
)

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
