package sink_test

import (
	"os"
	"strings"
	"testing"

	"exectape/session"
	"exectape/sink"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// exceed records lines until the cast is as long as it may get, and three more.
// It returns what was recorded before, and how many bytes came behind.
func exceed(t *testing.T, dir string) (r session.Recorder, before string, behind int64) {
	t.Helper()
	d, err := sink.OpenDir(dir, sink.Options{Version: 2, SessionMax: 64 << 10}, zap.NewNop())
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	r = begin(t, d, "7f3a9c01")
	line := strings.Repeat("x", 999) + "\n"
	for behind < 4*int64(len(line)) {
		if err := r.Record(output(session.Stdout, line)); err == nil && behind == 0 {
			before += line
		} else if behind += int64(len(line)); err == nil || !strings.Contains(err.Error(), "EXECTAPE_SESSION_MAX_BYTES") {
			t.Errorf("behind the limit it answers %v", err)
		}
		must(t, r.Commit(nil))
	}
	return r, before, behind
}

func TestACastEndsAtItsLimitAndSaysWhatCameBehind(t *testing.T) {
	dir := t.TempDir()
	r, before, behind := exceed(t, dir)
	must(t, r.Record(session.Event{Kind: session.Status, Exit: &session.Exit{Code: 3}}))
	must(t, r.Close(session.End{Reason: session.EndCompleted}))
	e := only(t, dir)
	if got := streams(t, e.Path)[session.Stdout]; got != before || len(got) < 56<<10 {
		t.Errorf("%d bytes of stdout, want the %d that were taken", len(got), len(before))
	}
	if diff := cmp.Diff([]session.Loss{{Bytes: behind, Reason: "session limit"}}, e.Summary.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if code := e.Summary.ExitCode; code == nil || *code != 3 {
		t.Errorf("exit code = %v, want 3", code)
	}
	info, err := os.Stat(e.Path)
	must(t, err)
	if info.Size() > 65<<10 {
		t.Errorf("the cast has %d bytes", info.Size())
	}
}

func TestACastThatWasCutSaysSoToWhoeverFindsIt(t *testing.T) {
	dir := t.TempDir()
	r, _, _ := exceed(t, dir)
	if got := only(t, dir).Summary.EndDetail; !strings.HasPrefix(got, "session limit") {
		t.Errorf("the live cast says %q", got)
	}
	must(t, r.Close(session.End{}))
}
