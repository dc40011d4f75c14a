package sink_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"exectape/session"
	"exectape/sink"

	"golang.org/x/sys/unix"
)

// die stops a disk as a power cut does, and starts it again: of what was written
// only that is left which was flushed, or which the kernel happened to write.
func die(t *testing.T, disk string) {
	t.Helper()
	root, err := os.Open(disk)
	must(t, err)
	const shutdown, noLogFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH: fs/ext4/ext4.h
	must(t, unix.IoctlSetPointerInt(int(root.Fd()), shutdown, noLogFlush))
	must(t, root.Close())
	command(t, "umount", disk)
	image, err := filepath.Glob(filepath.Join(filepath.Dir(disk), "*", "image"))
	must(t, err)
	_ = exec.Command("fsck.ext4", "-y", image[0]).Run() //nolint:gosec // its code says that it has mended something
	command(t, "mount", "-o", "loop", image[0], disk)
}

func TestWhatIsFinishedOutlivesTheMachine(t *testing.T) {
	for _, durability := range []sink.Durability{sink.Written, sink.Buffered, sink.Synced} {
		t.Run(durability.String(), func(t *testing.T) {
			disk, ok := aDisk(t, "ext4")
			if !ok {
				return
			}
			d := newDiskDir(t, disk, sink.Options{Durability: durability})
			const sessions = 50
			for i := range sessions {
				s := &talk{t: t, r: begin(t, d.Dir, fmt.Sprintf("%08x", i))}
				must(t, s.say(sentence))
				must(t, s.r.Close(session.End{Reason: session.EndCompleted}))
			}
			d.close()
			die(t, disk)

			if durability != sink.Synced { // else nothing is left to make good
				must(t, newDiskDir(t, disk, sink.Options{}).Recover(t.Context()))
			}
			found := verified(t, d.path)
			for _, v := range found {
				if v.State != sink.Good {
					t.Errorf("verdict: %+v", v)
				}
				if got := streams(t, filepath.Join(d.path, v.Path))[session.Stdout]; got != sentence {
					t.Errorf("%s: stdout = %q", v.Path, got)
				}
			}
			if len(found) != sessions {
				t.Errorf("%d casts, want %d", len(found), sessions)
			}
		})
	}
}
