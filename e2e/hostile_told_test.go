package e2e_test

import (
	"strings"
	"testing"

	"exectape/e2e/hostile"
	"exectape/e2e/kubelet"
	"exectape/e2e/tap"
	"exectape/session"
)

// TestHostileBytesEndASessionAndClientGoSaysWhy has client-go in the session, and
// somebody else's bytes between its own.
func TestHostileBytesEndASessionAndClientGoSaysWhy(t *testing.T) {
	needsNode(t)
	tests := []struct {
		name  string
		bytes []byte
		why   string
	}{
		{"NOOP", hostile.Control(hostile.Noop), "type 5"},
		{"data on stream 0", hostile.Data(0, 0, []byte("hello")), "stream 0"},
		{"RST_STREAM without a status", hostile.Control(hostile.RstStream, stdoutID, 0), "status 0"},
		{"a corrupt header block", hostile.Syn(freeID, []byte("garbage")), "corrupt"},
	}
	e := start(t, "EXECTAPE_IPTABLES=nft", "EXECTAPE_FAIL_POLICY=closed")
	between, err := tap.Listen(streamingServer) // which the rule leads to exectape
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = between.Close() })
	for _, test := range tests {
		for name, process := range map[string]kubelet.Process{"a pipe": cat, "a terminal": terminal} {
			t.Run(test.name+" in "+name, func(t *testing.T) {
				where, err := app.Exec(patiently(t), process)
				if err != nil {
					t.Fatal(err)
				}
				where.Host = between.Addr().String()
				u := open(t, direct, where, process)
				line, err := between.Next(patiently(t))
				if err != nil {
					t.Fatal(err)
				}
				u.types("hello\n")
				u.sees("hello")
				line.Say(test.bytes)
				got := u.leaves()

				if _, told := kubelet.ExitCode(got.err); told || !strings.Contains(got.err.Error(), "exectape ended this session") || !strings.Contains(got.err.Error(), test.why) {
					t.Errorf("the user is told %v, want a sentence from exectape about %q", got.err, test.why)
				}
				r := e.on(t).recorded()
				if r.EndReason != session.EndByUs || !strings.HasSuffix(got.err.Error(), r.EndDetail) {
					t.Errorf("the session ended as %q (%s), want %q and what the user was told", r.EndReason, r.EndDetail, session.EndByUs)
				}
				wantBegins(t, "the recorded stdout", r.cat("stdout"), got.stdout)
			})
		}
	}
}
