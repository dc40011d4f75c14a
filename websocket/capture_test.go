package websocket_test

import (
	"bytes"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/websocket"

	"github.com/google/go-cmp/cmp"
)

// What the captures were spoken in.
const v4 = "v4.channel.k8s.io"

func captures(tb testing.TB) []sessiontest.Capture {
	tb.Helper()
	return sessiontest.LoadAll(tb, "testdata/wire/ws4-*")
}

func newV4() session.Decoder { return websocket.New(v4) }

func TestCapturesComeToTheSameHoweverTheyAreCut(t *testing.T) {
	for _, c := range captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			sessiontest.CutsDoNotMatter(t, newV4, c.Pieces)
		})
	}
}

func TestCapturesSayWhatTheClientSaw(t *testing.T) {
	exits := map[string]int{
		"ws4-exec-kill-signal": 137, "ws4-exec-nosuchcmd": session.NoCode,
		"ws4-exec-notty-exit7": 7, "ws4-exec-notty-ok": 0, "ws4-exec-tty-resize": 5,
	}
	for _, c := range captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			server := sessiontest.Decode(newV4(), c.Pieces)[session.FromServer]
			if got := server.Text(session.Output, session.Stdout); !bytes.Equal(got, c.Stdout) {
				t.Errorf("stdout = %q, the client printed %q", got, c.Stdout)
			}
			if raw := server.Text(session.Raw, 0); len(raw) > 0 {
				t.Errorf("kept raw: %q", raw)
			}
			want, ended := exits[c.Name] // attach has no outcome
			switch exit := server.Exit(); {
			case !ended && exit != nil:
				t.Errorf("exit = %+v, want none", exit)
			case ended && (exit == nil || exit.Code != want):
				t.Errorf("exit = %+v, want code %d", exit, want)
			}
		})
	}
}

func TestACapturedTerminalKeepsItsSizesInOrder(t *testing.T) {
	c := sessiontest.Load(t, "testdata/wire/ws4-exec-tty-resize")
	got := sessiontest.Decode(newV4(), c.Pieces)[session.FromClient].Sizes()
	want := []session.Size{{Cols: 100, Rows: 30}, {Cols: 132, Rows: 43}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
}

// Decoding happens in the very bytes that are forwarded.
func TestNotOneByteIsChanged(t *testing.T) {
	for _, c := range captures(t) {
		d := newV4()
		for _, p := range c.Pieces {
			before := bytes.Clone(p.Data)
			if err := d.Feed(p.From, p.Data, func(session.Event) {}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.Data, before) {
				t.Errorf("%s, %v: % x became % x", c.Name, p.From, before, p.Data)
			}
		}
	}
}
