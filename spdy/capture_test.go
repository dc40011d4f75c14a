package spdy_test

import (
	"bytes"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/spdy"

	"github.com/google/go-cmp/cmp"
)

func right() session.Decoder { return spdy.New("v4.channel.k8s.io") }

// captures loads every recorded exec and attach.
func captures(tb testing.TB) []sessiontest.Capture {
	tb.Helper()
	return sessiontest.LoadAll(tb, "testdata/wire/spdy-[ae]*")
}

func TestCapturesComeToTheSameHoweverTheyAreCut(t *testing.T) {
	for _, c := range captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			sessiontest.CutsDoNotMatter(t, right, c.Pieces)
		})
	}
}

func TestCapturesSayWhatTheClientSaw(t *testing.T) {
	exits := map[string]int{
		"spdy-attach-notty": 0, "spdy-attach-tty-resize": 0,
		"spdy-exec-kill-signal": 137, "spdy-exec-nosuchcmd": session.NoCode,
		"spdy-exec-notty-exit7": 7, "spdy-exec-notty-ok": 0, "spdy-exec-tty-resize": 5,
	}
	for _, c := range captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			events := sessiontest.Decode(right(), c.Pieces)
			if got := events[session.FromServer].Text(session.Output, session.Stdout); !bytes.Equal(got, c.Stdout) {
				t.Errorf("stdout = %q, the client printed %q", got, c.Stdout)
			}
			want, ok := exits[c.Name]
			if exit := events[session.FromServer].Exit(); !ok || exit == nil || exit.Code != want {
				t.Errorf("exit = %+v, want code %d (listed: %v)", exit, want, ok)
			}
		})
	}
}

func TestACapturedTerminalKeepsItsSizesInOrder(t *testing.T) {
	c := sessiontest.Load(t, "testdata/wire/spdy-exec-tty-resize")
	got := sessiontest.Decode(right(), c.Pieces)[session.FromClient].Sizes()
	want := []session.Size{{Cols: 100, Rows: 30}, {Cols: 132, Rows: 43}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
}
