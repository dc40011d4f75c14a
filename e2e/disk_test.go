package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/session"
)

// disk makes a file system of 16 MiB, and returns where it is. Nobody outside
// the namespaces sees it.
func disk(t *testing.T, kind string) (path string) {
	t.Helper()
	path = t.TempDir()
	source, options := "none", "size=16m"
	if kind != "tmpfs" {
		source, options = filepath.Join(t.TempDir(), "image"), "loop"
		if err := errors.Join(os.WriteFile(source, nil, 0o600), os.Truncate(source, 16<<20)); err != nil {
			t.Fatal(err)
		}
		program(t, "mkfs."+kind, "-q", source)
	}
	program(t, "mount", "-t", kind, "-o", options, source, path)
	t.Cleanup(func() { program(t, "umount", "--lazy", path) })
	return path
}

func program(t *testing.T, name string, args ...string) {
	t.Helper()
	if said, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, said)
	}
}

// freeze has every write to a disk hang, as it does whose storage server is
// gone, until thaw is called. Should the test die, it thaws in a minute: until
// then no process can end that hangs there.
func freeze(t *testing.T, disk string) (thaw func()) {
	t.Helper()
	helper := exec.Command("sh", "-c", `fsfreeze -f "$1" && echo frozen && timeout 60 cat; fsfreeze -u "$1"`, "sh", disk)
	end, err := helper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := helper.StdoutPipe()
	if err == nil {
		err = helper.Start()
	}
	if err == nil {
		_, err = io.ReadFull(said, make([]byte, len("frozen\n")))
	}
	if err != nil {
		t.Fatal(err)
	}
	frozen := true
	thaw = func() {
		if frozen {
			frozen = false
			if err := errors.Join(end.Close(), helper.Wait()); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(thaw)
	return thaw
}

// readOnly makes the disk that an exectape keeps its casts on read-only, for it
// and for those that there are.
func readOnly(t *testing.T, e *exectape) (mend func()) {
	t.Helper()
	restore, err := e.running.ReadOnly(append(e.files(".cast.part"), e.casts)...)
	if err != nil {
		t.Fatal(err)
	}
	mend = sync.OnceFunc(func() {
		if err := restore(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(mend)
	return mend
}

// impatient is in the environment of an exectape on a disk that is to hang. It is
// patient enough for a busy machine on which it doesn't.
const impatient = "EXECTAPE_SINK_TIMEOUT=2s"

// startOn starts an exectape that keeps its casts on a disk.
func startOn(t *testing.T, disk string, env ...string) *exectape {
	t.Helper()
	e := newExectape(t, env...)
	e.keepIn(filepath.Join(disk, "casts"))
	e.start()
	return e
}

// recordedAtLast is recorded for an exectape that is impatient: a session's end may
// not have waited until its cast is on the disk.
func (e *exectape) recordedAtLast() recording {
	e.t.Helper()
	file := filepath.Join(e.casts, e.logs("session ended").Text("cast"))
	eventually(e.t, "the cast is finished", func(context.Context) bool {
		_, err := os.Stat(strings.TrimSuffix(file, ".cast") + ".json")
		return err == nil
	})
	return e.recording(file)
}

// disk is where the disk is mounted that startOn was given.
func (e *exectape) disk() string { return filepath.Dir(e.casts) }

// wantAllOf fails the test unless what a user saw is in the recording, but for
// as many bytes as its gaps say.
func (r recording) wantAllOf(seen answer) {
	r.exectape.t.Helper()
	missing := int64(0)
	for _, gap := range r.Gaps {
		missing += gap.Bytes
	}
	if recorded := int64(len(r.cat("stdout"))); recorded+missing != int64(len(seen.stdout)) || missing == 0 {
		r.exectape.t.Errorf("%d bytes of stdout are recorded, and %d missing, of %d: %+v", recorded, missing, len(seen.stdout), r.Gaps)
	}
	r.exectape.run("verify", r.file) // which fails if it isn't content
}

func TestADiskThatHangsHoldsUpNoSession(t *testing.T) {
	needsNode(t)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			disk := disk(t, "ext4")
			e := startOn(t, disk, append(w.env, impatient)...)
			u := run(t, w.kubelet, app, cat)
			u.types("before\n")
			u.sees("before\n")
			thaw := freeze(t, disk)
			for _, word := range []string{"taken\n", "lost\n", "lost, too\n"} {
				u.types(word)
				u.sees(word)
			}
			late := once(kubelet.Process{Command: []string{"echo", "unheard"}})(t, w.kubelet)
			wantSame(t, "the stdout of a session that began meanwhile", late.stdout, []byte("unheard\n"))
			e.logs("session ended") // that of late
			thaw()
			e.logs("casts are written again")
			u.types("after\n")
			u.sees("after\n")
			u.endsStdin()
			seen := u.leaves()

			r := e.recordedAtLast()
			r.wantAllOf(seen)
			wantSame(t, "the recorded stdout", r.cat("stdout"), []byte("before\ntaken\nafter\n"))
		})
	}
}

func TestASessionForWhichNoCastCouldBeBegunIsToldOfAllTheSame(t *testing.T) {
	needsNode(t)
	e := startOn(t, disk(t, "tmpfs"), bySOCKS5.env...)
	throwOut := fill(t, e.disk())
	u := run(t, bySOCKS5.kubelet, app, cat)
	u.types("lost\n")
	u.sees("lost\n")
	if live := e.run("ls", "--live", "--json", e.casts); len(live) > 0 {
		t.Errorf("there is a cast on a disk that is full: %s", live)
	}
	if told := e.run("sessions", "--json"); bytes.Count(told, []byte(`"verb":"exec"`)) != 1 {
		t.Errorf("the sessions are said to be %s, want one", told)
	}
	throwOut()
	e.logs("casts are written again")
	u.endsStdin()
	u.leaves()
	if r := e.recorded(); len(r.Gaps) != 1 || r.Gaps[0].Bytes != int64(len("lost\n")) {
		t.Errorf("the gaps are %+v, want one, of what was said", r.Gaps)
	}
}

func TestWhenADiskIsReadOnlyForAWhileNothingIsLostButWhatPassedMeanwhile(t *testing.T) {
	needsNode(t)
	e := startOn(t, disk(t, "ext4"), bySOCKS5.env...)
	u := run(t, bySOCKS5.kubelet, app, cat)
	u.types("before\n")
	u.sees("before\n")
	mend := readOnly(t, e)
	for _, word := range []string{"taken\n", "lost\n", "lost, too\n"} {
		u.types(word)
		u.sees(word)
	}
	e.logs("casts can't be written")
	mend()
	e.logs("casts are written again")
	u.types("after\n")
	u.sees("after\n")
	u.endsStdin()
	seen := u.leaves()
	r := e.recorded()
	r.wantAllOf(seen)
	wantSame(t, "the recorded stdout", r.cat("stdout"), []byte("before\ntaken\nafter\n"))
	if len(r.Gaps) != 1 || !strings.HasSuffix(r.Gaps[0].Reason, "read-only file system") {
		t.Errorf("the gaps are %+v, want one, and why", r.Gaps)
	}
}

func TestADiskThatTakesNothingEndsSessionsIfThatIsThePolicy(t *testing.T) {
	needsNode(t)
	for _, test := range []struct {
		name, kind string
		trouble    func(*testing.T, *exectape) (mend func())
		why        string
		env        []string
	}{
		{"it hangs", "ext4", func(t *testing.T, e *exectape) func() { return freeze(t, e.disk()) }, "the disk has not answered for 2s", []string{impatient}},
		{"another program has filled it", "tmpfs", func(t *testing.T, e *exectape) func() { return fill(t, e.disk()) }, "no space left on device", nil},
		{"it turns read-only", "ext4", readOnly, "read-only file system", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := startOn(t, disk(t, test.kind), slices.Concat(bySOCKS5.env, []string{closed}, test.env)...)
			u := run(t, bySOCKS5.kubelet, app, cat)
			u.types("before\n")
			u.sees("before\n")
			mend := test.trouble(t, e)
			taken := strings.Repeat("taken\n", 1000) // more than the last page has room for
			u.types(taken)
			seen := u.leaves()
			wantBegins(t, "what was said", []byte("before\n"+taken), seen.stdout)
			wantToldWhy(t, seen, test.why)
			cast := finished(e.live())
			late := once(kubelet.Process{Command: []string{"echo", "unheard"}})(t, bySOCKS5.kubelet)
			if late.err == nil || !strings.Contains(late.err.Error(), "exectape refused this session because it can't be recorded") {
				t.Errorf("who comes then is told %v", late.err)
			}
			mend()
			e.logs("casts are written again")
			again := once(kubelet.Process{Command: []string{"echo", "heard"}})(t, bySOCKS5.kubelet)
			wantSame(t, "the stdout of the next session", again.stdout, []byte("heard\n"))
			e.stop()
			r := e.recording(cast)
			wantBegins(t, "the recorded stdout", r.cat("stdout"), seen.stdout)
			e.run("verify", r.file)
		})
	}
}

// wantToldWhy fails the test unless a user was told that the session was ended
// because it could not be recorded, and why.
func wantToldWhy(t *testing.T, seen answer, why string) {
	t.Helper()
	const ended = "exectape ended this session because it could not be recorded: write "
	if _, exited := kubelet.ExitCode(seen.err); exited || !strings.HasPrefix(seen.err.Error(), ended) || !strings.Contains(seen.err.Error(), why) {
		t.Errorf("the user is told %v", seen.err)
	}
}

// fill takes all the room on a disk, as another program would.
func fill(t *testing.T, disk string) (throwOut func()) {
	t.Helper()
	file := filepath.Join(disk, "ballast")
	if err := os.WriteFile(file, make([]byte, 17<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return func() {
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

// The casts' own disk is filled by a session, and made larger when that is over.
func TestADiskThatASessionFillsKeepsAllThatItTook(t *testing.T) {
	needsNode(t)
	putBulkFile(t)
	for _, policy := range []session.Policy{session.FailOpen, session.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			disk := disk(t, "tmpfs")
			e := startOn(t, disk, append(bySOCKS5.env, "EXECTAPE_FAIL_POLICY="+policy.String())...)
			u := run(t, bySOCKS5.kubelet, app, kubelet.Process{Command: []string{"cat", bulkFile}})
			seen := u.leaves()
			if policy == session.FailOpen {
				wantSame(t, "what the user saw", seen.stdout, bulk())
			} else {
				wantToldWhy(t, seen, "no space left on device")
			}
			cast := finished(e.live())
			program(t, "mount", "-o", "remount,size=64m", disk)
			e.logs("casts are written again")
			e.stop()

			r := e.recording(cast)
			recorded := r.cat("stdout")
			if len(recorded) < 8<<20 {
				t.Errorf("%d bytes are recorded", len(recorded))
			}
			if policy == session.FailClosed {
				wantBegins(t, "the recorded stdout", recorded, seen.stdout)
				e.run("verify", r.file)
				return
			}
			r.wantAllOf(seen)
			wantBegins(t, "what the user saw", seen.stdout, recorded)
		})
	}
}
