package e2e_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"exectape/e2e/kubelet"
)

var terminal = kubelet.Process{Command: []string{"sh"}, Stdin: true, TTY: true}

func TestATerminalMayNeverSayItsSize(t *testing.T) {
	byEachWay(t, func(t *testing.T, w way, e *exectape) {
		u := run(t, w.kubelet, app, terminal)
		u.sees(prompt)
		u.types("exit 4\n")
		got := u.leaves()

		r := e.recorded()
		r.wantAnswer(got)
		if size := r.tape().size; size != "80x24" {
			t.Errorf("the cast's size is %s, want 80x24, which every player has", size)
		}
	})
}

func TestTheFirstSizeIsTheCastsAndOthersAreEvents(t *testing.T) {
	needsNode(t)
	for version := 2; version <= 3; version++ {
		t.Run(fmt.Sprintf("asciicast %d", version), func(t *testing.T) {
			e := start(t, "EXECTAPE_IPTABLES=nft", fmt.Sprintf("EXECTAPE_CAST_VERSION=%d", version))
			u := run(t, direct, app, terminal)
			u.sees(prompt) // before any size, as in life
			u.resizes(132, 43)
			u.waitsForSize("43 132")
			u.resizes(101, 31)
			u.waitsForSize("31 101")
			u.types("exit\n")
			got := u.leaves()

			r := e.recorded()
			r.wantAnswer(got)
			tape := r.tape()
			if tape.version != version || tape.size != "132x43" {
				t.Errorf("the cast has version %d and size %s, want %d and 132x43", tape.version, tape.size, version)
			}
			if diff := cmp.Diff([]string{"101x31"}, tape.all("r")); diff != "" {
				t.Errorf("resize events (-want +got):\n%s", diff)
			}
		})
	}
}

// waitsForSize lets the shell wait until its terminal has a size, which comes
// beside what is typed, and not in order with it.
func (u *user) waitsForSize(rowsAndCols string) {
	u.t.Helper()
	u.types("until stty size | grep -qx '" + rowsAndCols + "'; do :; done; stty size\n")
	u.sees("\r\n" + rowsAndCols + "\r\n")
	u.sees(prompt)
}
