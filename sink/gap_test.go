package sink_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"exectape/session"
)

const rlimitFsize = 1 // RLIMIT_FSIZE, which package syscall does not name

// limited runs the rest of a test in a process of its own, whose files may not
// grow beyond 64 KiB until the returned function is called: the nearest thing to
// a full disk that can be made without mounting one. Everywhere else ok is
// false.
func limited(t *testing.T) (lift func(), ok bool) {
	t.Helper()
	if os.Getenv(writerDir+"_LIMITED") == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), writerDir+"_LIMITED=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return nil, false
	}
	must(t, syscall.Setrlimit(rlimitFsize, &syscall.Rlimit{Cur: 64 << 10, Max: ^uint64(0)}))
	return func() { must(t, syscall.Setrlimit(rlimitFsize, &syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)})) }, true
}

// fill records lines until one can't be written, and then three more. It
// returns how many bytes it recorded before and after.
func fill(t *testing.T, r session.Recorder) (before, after int) {
	t.Helper()
	line := output(session.Stdout, strings.Repeat("x", 999)+"\n")
	var failed error
	for failed == nil {
		must(t, r.Record(line))
		failed = r.Commit(nil)
		before += len(line.Data)
	}
	for range 3 {
		if err := r.Record(line); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("it goes on with %v", err)
		}
		after += len(line.Data)
	}
	return before, after
}

func TestWhatCouldNotBeWrittenIsAGap(t *testing.T) {
	lift, ok := limited(t)
	if !ok {
		return
	}
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	before, after := fill(t, r)
	lift()
	must(t, r.Close(session.End{Reason: session.EndCompleted}))
	e := only(t, dir)
	if got := len(streams(t, e.Path)[session.Stdout]); got != before {
		t.Errorf("%d bytes of stdout, want %d: the rest of a short write goes first", got, before)
	}
	if g := e.Summary.Gaps; len(g) != 1 || g[0].Bytes != int64(after) || !strings.Contains(g[0].Reason, "file too large") {
		t.Errorf("gaps = %+v", g)
	}
}

func TestACastThatCantBeEndedIsWholeAsFarAsItGoes(t *testing.T) {
	if _, ok := limited(t); !ok {
		return
	}
	dir := t.TempDir()
	d := openDir(t, dir)
	r := begin(t, d, "7f3a9c01")
	before, after := fill(t, r)
	if err := r.Close(session.End{Reason: session.EndCompleted}); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("error = %v", err)
	}
	must(t, d.Close()) // until then it waits for room
	e := only(t, dir)
	kept := int64(len(streams(t, e.Path)[session.Stdout]))
	if e.Summary.Streams.Stdout.Bytes != kept || kept == 0 {
		t.Errorf("the summary says %d bytes of stdout, the cast %d", e.Summary.Streams.Stdout.Bytes, kept)
	}
	missing := int64(0)
	for _, g := range e.Summary.Gaps {
		missing += g.Bytes
	}
	if kept+missing != int64(before+after) {
		t.Errorf("%d bytes kept and %d missing, of %d: %+v", kept, missing, before+after, e.Summary.Gaps)
	}
	if e.Summary.EndReason != session.EndCompleted || e.Summary.SHA256 != sha(t, e.Path) {
		t.Errorf("summary = %+v", e.Summary)
	}
}
