package e2e_test

import (
	"bytes"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/session"
)

func TestAKillLosesNothingThatAUserHasSeen(t *testing.T) {
	tests := []struct {
		name  string
		until func(*testing.T, kubelet.Kubelet) *user // a session that is going on
	}{
		{"between two commands", func(t *testing.T, k kubelet.Kubelet) *user {
			u := run(t, k, app, terminal)
			u.sees(prompt)
			u.resizes(132, 43)
			u.types("echo naïve\n")
			u.sees("\r\nnaïve\r\n")
			return u
		}},
		{"between the halves of a rune", func(t *testing.T, k kubelet.Kubelet) *user {
			u := run(t, k, app, halves)
			u.seesSoFar("\xe2\x82", "")
			u.types("\n")
			u.seesSoFar("\xe2\x82", "\xe2\x82")
			return u
		}},
		{"in the middle of much output", func(t *testing.T, k kubelet.Kubelet) *user {
			putBulkFile(t)
			u := run(t, k, app, kubelet.Process{Command: []string{"cat", bulkFile}})
			u.seesBytes(1 << 20)
			return u
		}},
	}
	needsNode(t)
	for _, w := range ways {
		for _, test := range tests {
			t.Run(w.name+"/"+test.name, func(t *testing.T) {
				e := start(t, w.env...)
				u := test.until(t, w.kubelet)
				e.running.Kill()
				seen := u.leaves()
				unfinished := e.live()
				e.start()
				e.logs("cast left behind finished")

				r := e.recording(finished(unfinished))
				if r.EndReason != session.EndInterrupted {
					t.Errorf("the session ended as %q, want %q", r.EndReason, session.EndInterrupted)
				}
				wantBegins(t, "the recorded stdout", r.cat("stdout"), seen.stdout)
				wantBegins(t, "the recorded stderr", r.cat("stderr"), seen.stderr)
				r.tape() // which must be one
			})
		}
	}
}

// wantBegins fails the test unless got is want, and what may come behind it.
func wantBegins(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.HasPrefix(got, want) {
		wantSame(t, what, got[:min(len(got), len(want))], want)
	}
}
