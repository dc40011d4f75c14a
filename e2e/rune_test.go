package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"exectape/e2e/kubelet"
)

// halves writes a euro sign (E2 82 AC) to stdout and one to stderr, in turn and
// in halves, so that each half is a frame of its own.
var halves = kubelet.Process{
	Command: shell(`
		printf '\342\202'; read go
		printf '\342\202' >&2; read go
		printf '\254'; read go
		printf '\254' >&2; read go`),
	Stdin: true,
}

func TestARuneInHalvesIsExactAtEveryMoment(t *testing.T) {
	needsNode(t)
	for version := 2; version <= 3; version++ {
		t.Run(fmt.Sprintf("asciicast %d", version), func(t *testing.T) {
			e := start(t, "EXECTAPE_IPTABLES=nft", fmt.Sprintf("EXECTAPE_CAST_VERSION=%d", version))
			u := run(t, direct, app, halves)
			for _, now := range []struct{ stdout, stderr string }{
				{"\xe2\x82", ""},
				{"\xe2\x82", "\xe2\x82"},
				{"€", "\xe2\x82"},
				{"€", "€"},
			} {
				u.seesSoFar(now.stdout, now.stderr)
				live := recording{exectape: e, file: e.live()}
				wantSame(t, "stdout so far", live.cat("stdout"), []byte(now.stdout))
				wantSame(t, "stderr so far", live.cat("stderr"), []byte(now.stderr))
				u.types("\n")
			}
			got := u.leaves()

			r := e.recorded()
			r.wantAnswer(got)
			if shown := strings.Join(r.tape().all("o"), ""); shown != "€€" {
				t.Errorf("players show %q, want %q", shown, "€€")
			}
		})
	}
}
