package session_test

import (
	"testing"
	"testing/synctest"

	"exectape/session"
)

func TestWhoOpenedASessionIsRecordedOnceItIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, target, j := newConn(t)
		known := make(chan session.Peer, 1)
		c.Meet(known)
		say := func(text string) {
			go send(t, target, text)
			receive(t, c)
		}
		say("abcd") // nothing waits for it
		known <- session.Peer{PID: 7, Name: "kubelet"}
		say("efgh")
		if got, want := j.String(), "output server abcd; commit; met kubelet; output server efgh; commit"; got != want {
			t.Errorf("recorded: %s; want %s", got, want)
		}
		if p := c.Live().Peer; p == nil || p.PID != 7 {
			t.Errorf("it is told that %+v opened it", p)
		}
	})
}

func TestWhoOpenedASessionIsKnownAtItsEndAtTheLatest(t *testing.T) {
	c, _, j := newConn(t)
	known := make(chan session.Peer, 2)
	c.Meet(known)
	known <- session.Peer{Name: "crictl"}
	_ = c.Report()
	if got, want := j.String(), "met crictl"; got != want {
		t.Errorf("recorded: %s; want %s", got, want)
	}
	known <- session.Peer{Name: "nobody"}
	if p := c.Live().Peer; p == nil || p.Name != "crictl" {
		t.Errorf("it is told that %+v opened it", p)
	}
}
