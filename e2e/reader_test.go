package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"exectape/e2e/kubelet"
	"exectape/e2e/transcript"
	"exectape/session"
)

func TestTailShowsASessionAsItGoesOn(t *testing.T) {
	needsNode(t)
	e := start(t, byNFT.env...)
	u := run(t, direct, app, cat)
	u.types("before\n")
	u.sees("before\n")

	var shown transcript.Transcript
	tail := e.program.Command(patiently(t), "tail", "--session", e.logs("session started").Text("id"))
	tail.Stdout = &shown
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"during\n", "later\n"} {
		u.types(line)
		err := shown.Await(patiently(t), func(all []byte) bool { return bytes.HasSuffix(all, []byte(line)) })
		if err != nil {
			t.Errorf("tail shows %q: %v; want %q at its end", shown.Bytes(), err, line)
		}
	}
	u.endsStdin()
	got := u.leaves()
	if err := tail.Wait(); err != nil {
		t.Errorf("tail, at the session's end: %v", err)
	}
	wantSame(t, "what tail showed", shown.Bytes(), got.stdout)
	e.recorded().wantAnswer(got)
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
