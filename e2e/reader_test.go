package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"exectape/e2e/kubelet"
	"exectape/e2e/transcript"
	"exectape/session"
)

func TestTailShowsALiveSession(t *testing.T) {
	needsNode(t)
	e := start(t, byNFT.env...)
	u := run(t, direct, app, cat)
	u.types("before tail\n")
	u.sees("before tail\n")

	var shown transcript.Transcript
	tail := e.program.Command(patiently(t), "tail")
	tail.Stdout = &shown
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	u.types("during tail\n")
	u.sees("during tail\n")
	err := shown.Await(patiently(t), func(all []byte) bool { return bytes.Contains(all, []byte("during tail")) })
	if err != nil {
		t.Errorf("tail shows %q: %v; want what the session does", shown.Bytes(), err)
	}
	if err := tail.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("tail, interrupted: %v", err)
	}
	u.endsStdin()
	e.recorded().wantAnswer(u.leaves())
}

func TestListSaysWhatTheSummariesSay(t *testing.T) {
	needsNode(t)
	e := start(t, byNFT.env...)
	var want []session.Summary
	for _, script := range []string{"exit 0", "exit 3", "echo three"} {
		run(t, direct, app, kubelet.Process{Command: shell(script)}).leaves()
		want = append(want, e.recorded().Summary)
	}
	var got []session.Summary
	for line := range bytes.Lines(e.run("ls", "--json")) {
		var s session.Summary
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("exectape ls --json (-want +got):\n%s", diff)
	}
}
