package sink_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"exectape/session"
	"exectape/sink"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

// aDisk runs the rest of a test in a process with a mount namespace of its own,
// in which there is a file system of 16 MiB, made as options say. Everywhere
// else ok is false.
func aDisk(t *testing.T, kind string, options ...string) (path string, ok bool) {
	t.Helper()
	const inside = writerDir + "_MOUNTS"
	if os.Getenv(inside) == "" {
		if os.Geteuid() != 0 {
			if os.Getenv("EXECTAPE_TEST_ROOT") != "" {
				t.Fatal("not root")
			}
			t.Skip("only root can mount a file system")
		}
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), inside+"=1")
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return "", false
	}
	must(t, unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	path = t.TempDir()
	source := "none"
	if kind != "tmpfs" {
		source = filepath.Join(t.TempDir(), "image")
		must(t, os.WriteFile(source, nil, 0o600))
		must(t, os.Truncate(source, 16<<20))
		command(t, "mkfs."+kind, "-q", source)
		options = append(options, "loop")
	} else {
		options = append([]string{"size=16m"}, options...) // the last one counts
	}
	command(t, "mount", "-t", kind, "-o", strings.Join(options, ","), source, path)
	t.Cleanup(func() { command(t, "umount", "--lazy", path) })
	return path, true
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil { //nolint:gosec // a test's own words
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// patience is how long is waited for what will come.
const patience = time.Minute

// sinkTimeout is a short one.
const sinkTimeout = time.Second

// A diskDir is a directory on a disk that is about to have troubles.
type diskDir struct {
	*sink.Dir
	t    *testing.T
	path string
	said chan string // what is logged
}

func newDiskDir(t *testing.T, path string, o sink.Options) *diskDir {
	t.Helper()
	d := &diskDir{t: t, path: filepath.Join(path, "casts"), said: make(chan string, 1000)}
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zapcore.InfoLevel),
		zap.Hooks(func(e zapcore.Entry) error { d.said <- e.Message; return nil }))
	o.Version, o.Timeout = 2, cmp.Or(o.Timeout, sinkTimeout)
	var err error
	d.Dir, err = sink.OpenDir(d.path, o, log)
	must(t, err)
	t.Cleanup(func() { d.close() })
	return d
}

// close closes the directory, however busy the machine is.
func (d *diskDir) close() {
	d.t.Helper()
	err := d.Close()
	for began := time.Now(); err != nil && time.Since(began) < patience; {
		err = d.Close()
	}
	must(d.t, err)
}

// logs waits for a line of the log.
func (d *diskDir) logs(message string) {
	d.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line := <-d.said:
			if line == message {
				return
			}
		case <-late:
			d.t.Fatalf("it never said %q", message)
		}
	}
}

const backAgain = "casts are written again"

// A talk is a session that says one line after the other, and knows which of
// them were taken.
type talk struct {
	t     *testing.T
	r     session.Recorder
	taken strings.Builder
	lost  int64
}

// say says a line, and returns why it was not recorded.
func (s *talk) say(line string) error {
	s.t.Helper()
	ev := output(session.Stdout, line)
	ev.Stream = session.Stdout
	if err := s.r.Record(ev); err != nil {
		s.lost += int64(len(line))
		return err
	}
	s.taken.WriteString(line)
	return s.r.Commit(nil)
}

var sentence = strings.Repeat("x", 999) + "\n"

// check checks that the one cast of a directory is what was taken, that its gaps
// are what was lost, and that no byte has changed of what was there before.
func (s *talk) check(d *diskDir, before []byte) {
	s.t.Helper()
	e := only(s.t, d.path)
	if got := streams(s.t, e.Path)[session.Stdout]; got != s.taken.String() {
		s.t.Errorf("%d bytes of stdout, want the %d that were taken", len(got), s.taken.Len())
	}
	lost := int64(0)
	for _, gap := range e.Summary.Gaps {
		lost += gap.Bytes
	}
	if lost != s.lost {
		s.t.Errorf("gaps: %+v, want %d bytes", e.Summary.Gaps, s.lost)
	}
	if e.Live || e.Summary.EndReason != session.EndCompleted {
		s.t.Errorf("summary = %+v", e.Summary)
	}
	after, err := os.ReadFile(e.Path)
	must(s.t, err)
	if len(before) > 4096 && !strings.HasPrefix(string(after[4096:]), string(before[4096:])) {
		s.t.Error("what a reader had seen has changed")
	}
	for _, v := range verified(s.t, d.path) {
		if v.State != sink.Good {
			s.t.Errorf("verify: %+v", v)
		}
	}
}

// everything returns what the one live cast is by now.
func everything(t *testing.T, d *diskDir) []byte {
	t.Helper()
	b, err := os.ReadFile(only(t, d.path).Path)
	must(t, err)
	return b
}

// ballast fills a disk up to what is left, as another program would, and
// returns how to make room again.
func ballast(t *testing.T, disk string, left int64) (throwOut func()) {
	t.Helper()
	var stat unix.Statfs_t
	must(t, unix.Statfs(disk, &stat))
	file := filepath.Join(disk, "ballast")
	out, err := os.Create(file) //nolint:gosec // of a test
	must(t, err)
	room := int64(stat.Bavail)*stat.Bsize - left
	_, err = out.Write(make([]byte, room))
	must(t, errors.Join(err, out.Close()))
	return func() { must(t, os.Remove(file)) }
}

func TestADiskThatFillsUpInASessionTakesTheRestFirstWhenThereIsRoom(t *testing.T) {
	disk, ok := aDisk(t, "tmpfs")
	if !ok {
		return
	}
	for _, durability := range []sink.Durability{sink.Written, sink.Buffered, sink.Synced} {
		t.Run(durability.String(), func(t *testing.T) {
			path := filepath.Join(disk, durability.String())
			must(t, os.Mkdir(path, 0o700))
			d := newDiskDir(t, path, sink.Options{Durability: durability})
			s := &talk{t: t, r: begin(t, d.Dir, "7f3a9c01")}
			for round := range 3 {
				throwOut := ballast(t, disk, 300<<10)
				for s.say(sentence) == nil {
				}
				before := everything(t, d)
				for range 1000 {
					if err := s.say(sentence); !errors.Is(err, syscall.ENOSPC) {
						t.Fatalf("round %d: error = %v", round, err)
					}
				}
				throwOut()
				d.logs(backAgain)
				must(t, s.say("and on it goes\n"))
				if now := everything(t, d); !strings.HasPrefix(string(now[4096:]), string(before[4096:])) {
					t.Error("what a reader had seen has changed")
				}
			}
			must(t, s.r.Close(session.End{Reason: session.EndCompleted}))
			s.check(d, nil)
			if gaps := only(t, d.path).Summary.Gaps; len(gaps) != 3 {
				t.Errorf("gaps: %+v, want three", gaps)
			}
		})
	}
}

func TestASessionThatEndsOnAFullDiskIsFinishedWhenThereIsRoom(t *testing.T) {
	disk, ok := aDisk(t, "tmpfs")
	if !ok {
		return
	}
	d := newDiskDir(t, disk, sink.Options{})
	s := &talk{t: t, r: begin(t, d.Dir, "7f3a9c01")}
	throwOut := ballast(t, disk, 64<<10)
	for s.say(sentence) == nil {
	}
	_ = s.say(sentence)
	before := everything(t, d)
	if err := s.r.Close(session.End{Reason: session.EndCompleted}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error = %v", err)
	}
	throwOut()
	d.logs(backAgain)
	d.close()
	s.check(d, before)
}

func TestASessionThatBeginsOnADiskThatTakesNothing(t *testing.T) {
	disk, ok := aDisk(t, "tmpfs")
	if !ok {
		return
	}
	readOnly := func(t *testing.T) (mend func()) {
		command(t, "mount", "-o", "remount,ro", disk)
		return func() { command(t, "mount", "-o", "remount,rw", disk) }
	}
	full := func(t *testing.T) (mend func()) { return ballast(t, disk, 0) }
	for _, test := range []struct {
		name    string
		policy  session.Policy
		trouble func(*testing.T) (mend func())
		why     error
	}{
		{"open, full", session.FailOpen, full, syscall.ENOSPC},
		{"open, read-only", session.FailOpen, readOnly, syscall.EROFS},
		{"closed, full", session.FailClosed, full, syscall.ENOSPC},
		{"closed, read-only", session.FailClosed, readOnly, syscall.EROFS},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(disk, test.name)
			must(t, os.Mkdir(path, 0o700))
			d := newDiskDir(t, path, sink.Options{Policy: test.policy})
			mend := test.trouble(t)
			r, err := d.Open(newInfo("7f3a9c01"))
			if !errors.Is(err, test.why) {
				t.Errorf("error = %v, want %v", err, test.why)
			}
			if test.policy == session.FailClosed {
				mend()
				if files := names(t, d.path); r != nil || len(files) > 0 {
					t.Errorf("there is a recorder, %v, or one of %q", r, files)
				}
				return
			}
			s := &talk{t: t, r: r}
			if err := s.say("unheard\n"); !errors.Is(err, test.why) {
				t.Errorf("error = %v, want %v", err, test.why)
			}
			mend()
			d.logs(backAgain)
			must(t, s.say("heard\n"))
			must(t, r.Close(session.End{Reason: session.EndCompleted}))
			s.check(d, nil)
		})
	}
}

// The directory itself is looked at every ten seconds only.
func TestRoomIsMadeAtOnceWhereTheFileSystemGetsShortOfIt(t *testing.T) {
	disk, ok := aDisk(t, "tmpfs")
	if !ok {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		d := newDiskDir(t, disk, sink.Options{Room: sink.Room{MinFree: 1 << 30}}) // but a tenth at most
		for _, id := range []string{"00000001", "00000002", "00000003"} {
			s := &talk{t: t, r: begin(t, d.Dir, id)}
			for range 1000 {
				must(t, s.say(sentence))
			}
			must(t, s.r.Close(session.End{Reason: session.EndCompleted}))
			time.Sleep(time.Second)
		}
		ctx, end := context.WithCancel(t.Context())
		kept := make(chan struct{})
		go func() { d.KeepRoom(ctx); close(kept) }()
		time.Sleep(time.Second / 2)
		synctest.Wait()
		throwOut := ballast(t, disk, 1<<20)
		time.Sleep(time.Second)
		synctest.Wait()
		list, err := sink.List(d.path)
		must(t, err)
		if len(list) != 2 || list[0].Summary.ID != "00000002" {
			t.Errorf("left are %d casts, the first of them %+v; want the two younger ones", len(list), list[0].Summary)
		}
		throwOut()
		end()
		<-kept
	})
}

// The kernel turns a file system read-only that it finds in disorder. It stays
// so until it is mounted anew.
func TestADiskThatTurnsReadOnlyKeepsWhatWasSynced(t *testing.T) {
	disk, ok := aDisk(t, "ext4", "errors=remount-ro")
	if !ok {
		return
	}
	d := newDiskDir(t, disk, sink.Options{Durability: sink.Synced})
	s := &talk{t: t, r: begin(t, d.Dir, "7f3a9c01")}
	for range 100 {
		must(t, s.say(sentence))
	}
	device, err := exec.Command("findmnt", "--noheadings", "--output", "SOURCE", disk).Output() //nolint:gosec // a test's own words
	must(t, err)
	source := strings.TrimSpace(string(device))
	must(t, os.WriteFile(filepath.Join("/sys/fs/ext4", filepath.Base(source), "trigger_fs_error"), []byte("1"), 0)) //nolint:gosec // it is there
	for range 1000 {
		if err := s.say(sentence); err == nil {
			t.Fatal("it is recorded on a disk that takes nothing")
		}
	}
	if err := s.r.Close(session.End{Reason: session.EndCompleted}); err == nil {
		t.Error("the cast was finished")
	}
	d.close()
	command(t, "umount", disk)
	image, err := filepath.Glob(filepath.Join(filepath.Dir(disk), "*", "image"))
	must(t, err)
	_ = exec.Command("fsck.ext4", "-y", image[0]).Run() //nolint:gosec // its code says that it has mended something
	command(t, "mount", "-o", "loop", image[0], disk)

	next := newDiskDir(t, disk, sink.Options{})
	must(t, next.Recover(t.Context()))
	e := only(t, next.path)
	if got := streams(t, e.Path)[session.Stdout]; !strings.HasPrefix(s.taken.String(), got) || len(got) < 100*len(sentence) {
		t.Errorf("%d bytes of stdout, want the %d that were synced", len(got), 100*len(sentence))
	}
	if e.Live || e.Summary.EndReason != session.EndInterrupted {
		t.Errorf("summary = %+v", e.Summary)
	}
}
