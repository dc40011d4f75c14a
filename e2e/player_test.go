package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"exectape/e2e/kubelet"
)

func TestAsciinemaPlaysTheCasts(t *testing.T) {
	needsNode(t)
	player, err := exec.LookPath("asciinema")
	if err != nil {
		skip(t, err)
	}
	e := start(t, byNFT.env...)
	tests := []struct {
		name string
		play func(*testing.T, kubelet.Kubelet) answer
	}{
		{"a terminal", func(t *testing.T, k kubelet.Kubelet) answer {
			u := run(t, k, app, terminal)
			u.sees(prompt)
			u.resizes(132, 43)
			// A shell that hears of its size while it echoes begins the line anew,
			// in the middle of a rune if need be, and players show no halves.
			u.waitsForSize("43 132")
			u.types("echo naïve 漢字\n")
			u.sees("\r\nnaïve 漢字\r\n")
			u.sees(prompt)
			u.types("exit\n")
			return u.leaves()
		}},
		{"a command", once(kubelet.Process{Command: shell("echo 'runes of every length: a ï 漢 🎞'")})},
		{"a rune in halves", func(t *testing.T, k kubelet.Kubelet) answer {
			u := run(t, k, app, kubelet.Process{Command: shell(`printf '\342\202'; read go; printf '\254\n'`), Stdin: true})
			u.seesSoFar("\xe2\x82", "")
			u.types("\n")
			return u.leaves()
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := test.play(t, direct)
			r := e.on(t).recorded()
			play := exec.CommandContext(patiently(t), player, "play", r.file)
			play.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8"}
			// Without a terminal to read keys from it takes no pauses.
			play.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			var said strings.Builder
			play.Stderr = &said
			shown, err := play.Output()
			if err != nil {
				t.Fatalf("asciinema play: %v\n%s", err, said.String())
			}
			wantSame(t, "what asciinema shows", shown, got.stdout)
		})
	}
}
