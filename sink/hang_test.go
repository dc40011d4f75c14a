package sink_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exectape/session"
	"exectape/sink"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// freeze has every write to a disk hang, as one does that a dead storage server
// stands behind, until thaw is called. Should the test die, it thaws by itself:
// nothing else can end a process that hangs in it.
func freeze(t *testing.T, disk string) (thaw func()) {
	t.Helper()
	helper := exec.Command("sh", "-c", `fsfreeze -f "$1" && echo frozen && timeout 60 cat; fsfreeze -u "$1"`, "sh", disk)
	end, err := helper.StdinPipe()
	must(t, err)
	said, err := helper.StdoutPipe()
	must(t, err)
	must(t, helper.Start())
	if _, err := io.ReadFull(said, make([]byte, len("frozen\n"))); err != nil {
		t.Fatal(err)
	}
	thawed := false
	thaw = func() {
		if !thawed {
			thawed = true
			must(t, errors.Join(end.Close(), helper.Wait()))
		}
	}
	t.Cleanup(thaw)
	return thaw
}

func TestASessionIsHandedOnWhoseWriteHangs(t *testing.T) {
	disk, ok := aDisk(t, "ext4")
	if !ok {
		return
	}
	for _, durability := range []sink.Durability{sink.Written, sink.Synced} {
		t.Run(durability.String(), func(t *testing.T) {
			path := filepath.Join(disk, durability.String())
			must(t, os.Mkdir(path, 0o700))
			d := newDiskDir(t, path, sink.Options{Durability: durability})
			s := &talk{t: t, r: begin(t, d.Dir, "7f3a9c01")}
			must(t, s.say("before\n"))
			thaw := freeze(t, disk)

			handed, hung := make(chan error, 1), make(chan error, 1)
			must(t, s.r.Record(output(session.Stdout, "taken\n")))
			s.taken.WriteString("taken\n")
			go func() { hung <- s.r.Commit(func(err error) { handed <- err }) }()
			if err := within(t, handed); err == nil || !strings.Contains(err.Error(), "the disk has not answered for 1s") {
				t.Errorf("handed on with %v", err)
			}
			for range 3 { // nobody who comes now waits for it
				if err := s.say("lost\n"); err == nil {
					t.Error("it is recorded on a disk that hangs")
				}
			}
			thaw()
			if err := within(t, hung); !errors.Is(err, session.ErrOverdue) {
				t.Errorf("who was replaced gets %v", err)
			}
			d.logs(backAgain)
			must(t, s.say("after\n"))
			must(t, s.r.Close(session.End{Reason: session.EndCompleted}))
			s.check(d, nil)
		})
	}
}

func within(t *testing.T, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(patience):
		t.Fatal("it hangs")
		return nil
	}
}

func TestADiskThatHangsHoldsUpNoBeginningAndNoEnd(t *testing.T) {
	disk, ok := aDisk(t, "ext4")
	if !ok {
		return
	}
	for _, policy := range []session.Policy{session.FailOpen, session.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			path := filepath.Join(disk, policy.String())
			must(t, os.Mkdir(path, 0o700))
			d := newDiskDir(t, path, sink.Options{Policy: policy})
			ending := begin(t, d.Dir, "00000001")
			thaw := freeze(t, disk)
			began, err := d.Open(newInfo("00000002"))
			if err == nil || !strings.Contains(err.Error(), "the disk has not answered for 1s") {
				t.Errorf("error = %v", err)
			}
			if err := ending.Close(session.End{Reason: session.EndCompleted}); err == nil {
				t.Error("a cast was finished on a disk that hangs")
			}
			for i := range 300 { // at once: nobody asks the disk any more
				if _, err := d.Open(newInfo(fmt.Sprintf("%08x", 16+i))); err == nil {
					t.Error("a cast was begun on a disk that hangs")
				}
			}
			want := map[string]bool{"00000001": true}
			if policy == session.FailOpen {
				if err := began.Record(output(session.Stdout, "lost\n")); err == nil {
					t.Error("recorded on a disk that hangs")
				}
				want["00000002"] = true
			}
			thaw()
			d.logs(backAgain)
			if policy == session.FailOpen {
				_ = began.Close(session.End{Reason: session.EndCompleted}) // it may take its time
			}
			d.close()
			got := map[string]bool{}
			for _, name := range names(t, d.path) {
				if sink.IsFinished(name) {
					got[sink.ID(name)] = true
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("finished casts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADirectoryOnADiskThatHangsCanBeClosed(t *testing.T) {
	disk, ok := aDisk(t, "ext4")
	if !ok {
		return
	}
	path := filepath.Join(disk, "casts")
	d, err := sink.OpenDir(path, sink.Options{Version: 2, Timeout: sinkTimeout}, zap.NewNop())
	must(t, err)
	r := begin(t, d, "7f3a9c01")
	record(t, r, output(session.Stdout, "said\n"))
	thaw := freeze(t, disk)
	_ = r.Record(output(session.Stdout, "said, too\n"))
	if err := r.Close(session.End{Reason: session.EndCompleted}); err == nil {
		t.Error("a cast was finished on a disk that hangs")
	}
	if err := d.Close(); err == nil {
		t.Error("nothing is left for the next start")
	}
	thaw()
}
