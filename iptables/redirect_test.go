package iptables

import (
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConnectionsToATargetAreLedToExectape(t *testing.T) {
	everywhere(t, func(t test) {
		target := t.cfg.Targets[0]
		exectape := netip.AddrPortFrom(t.loopback, t.cfg.Port)
		another := netip.AddrPortFrom(t.loopback, target.Port()+1)
		listen(t, target, "the target")
		listen(t, exectape, "exectape")
		listen(t, another, "another server")

		t.wantAnswer("before Apply", target, "the target")
		t.apply()
		t.wantAnswer("after Apply", target, "exectape")
		t.wantAnswer("to what is no target", another, "another server")
		for mark, want := range map[uint32]string{
			0:                         "exectape",
			0x1000:                    "exectape",
			t.cfg.Mark.Value:          "the target",
			t.cfg.Mark.Value | 0x4000: "the target",
		} {
			if got := answer(t, dial(t, target, mark)); got != want {
				t.Errorf("with mark %#x: %s answers, want %s", mark, got, want)
			}
		}
		if err := t.tables.RemoveJump(t.Context(), AnyGeneration); err != nil {
			t.Fatal(err)
		}
		t.wantAnswer("after RemoveJump", target, "the target")
	})
}

func TestOpenConnectionsOutliveWhateverBecomesOfTheRules(t *testing.T) {
	everywhere(t, func(t test) {
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, t.cfg.Port), "exectape")
		direct := dial(t, target, 0)
		t.apply()
		redirected := dial(t, target, 0)

		t.tamper(t.T, "nat", "-F EXECTAPE")
		t.apply() // writes the chain anew
		if err := t.tables.RemoveJump(t.Context(), AnyGeneration); err != nil {
			t.Fatal(err)
		}
		if got := answer(t, direct); got != "the target" {
			t.Errorf("on the connection from before Apply %s answers", got)
		}
		if got := answer(t, redirected); got != "exectape" {
			t.Errorf("on the redirected connection %s answers", got)
		}
	})
}

func TestOpenConnectionsOutliveTheLastTarget(t *testing.T) {
	everywhere(t, func(t test) {
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, t.cfg.Port), "exectape")
		t.cfg.Live = true
		t.apply()
		redirected := dial(t, target, 0)
		t.cfg.Targets = nil
		t.wantProblems("the last target has gone", "a jump from OUTPUT to EXECTAPE is left over")
		t.apply()
		t.wantProblems("without targets")
		t.wantAnswer("to what is no target any more", target, "the target")
		if got := answer(t, redirected); got != "exectape" {
			t.Errorf("on the redirected connection %s answers", got)
		}
		t.cfg.Targets = []netip.AddrPort{target}
		t.apply()
		t.wantAnswer("when the target is back", target, "exectape")
	})
}

func (t test) wantAnswer(when string, to netip.AddrPort, want string) {
	t.Helper()
	if got := answer(t, dial(t, to, 0)); got != want {
		t.Errorf("%s: %s answers at %s, want %s", when, got, to, want)
	}
}

// listen opens a listener that says who it is to whoever has something to say.
func listen(t test, at netip.AddrPort, name string) {
	t.Helper()
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.ReadAll(c); err == nil {
					_, _ = io.WriteString(c, name)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
}

// dial connects, with a mark on every packet.
func dial(t test, to netip.AddrPort, mark uint32) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if raw := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
		}); raw != nil {
			return raw
		}
		return err
	}}
	c, err := d.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// answer returns what the other end says when it is asked.
func answer(t test, c *net.TCPConn) string {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}
