package sink_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"exectape/cast"
	"exectape/session"
	"exectape/sink"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// writerDir is set in the environment of a test process that is a recorder,
// and is to be killed.
const writerDir = "EXECTAPE_TEST_WRITER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		beRecorder(dir)
	}
	goleak.VerifyTestMain(m)
}

// beRecorder records pieces that end within runes, on both streams in turn, and
// says of each when it is committed. It never ends by itself.
func beRecorder(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	d, err := sink.OpenDir(dir, 2, zap.NewNop())
	fail(err)
	r, err := d.Open(newInfo("7f3a9c01"))
	fail(err)
	for i := 0; ; i++ {
		e := pieces(i)
		fail(r.Record(e))
		fail(r.Commit())
		fmt.Println(i)
	}
}

// pieces cuts "é€😀" into single bytes, and gives them to both streams in turn.
func pieces(i int) session.Event {
	const text = "é€\U0001f600\n"
	stream := []session.Stream{session.Stdout, session.Stderr}[i%2]
	return output(stream, text[i/2%len(text):][:1])
}

func TestNothingThatWasCommittedIsLostToAKill(t *testing.T) {
	for committed := range 12 {
		t.Run(fmt.Sprintf("after %d pieces", committed+1), func(t *testing.T) {
			dir := t.TempDir()
			recorder := exec.CommandContext(t.Context(), os.Args[0])
			recorder.Env = append(os.Environ(), writerDir+"="+dir)
			recorder.Stderr = os.Stderr
			said, err := recorder.StdoutPipe()
			must(t, err)
			must(t, recorder.Start())
			lines := bufio.NewScanner(said)
			last := -1
			for last < committed && lines.Scan() {
				last++
			}
			must(t, recorder.Process.Signal(syscall.SIGKILL))
			for lines.Scan() { // what it had said before the signal came
				last++
			}
			_ = recorder.Wait()

			must(t, openDir(t, dir).Recover(t.Context()))
			e := only(t, dir)
			if e.Live || e.Summary.EndReason != session.EndInterrupted || e.Summary.ID != "7f3a9c01" {
				t.Errorf("recovered as %+v", e)
			}
			want := map[session.Stream]string{}
			for i := range last + 1 {
				want[pieces(i).Stream] += string(pieces(i).Data)
			}
			for stream, got := range streams(t, e.Path) {
				// One piece more may have been written and not said.
				if !strings.HasPrefix(got, want[stream]) || len(got) > len(want[stream])+1 {
					t.Errorf("%v: %q, want %q", stream, got, want[stream])
				}
			}
		})
	}
}

// leave makes a directory with a cast whose recorder is gone, as spoil leaves
// it.
func leave(t *testing.T, spoil func(path string)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	d := openDir(t, dir)
	r := begin(t, d, "7f3a9c01")
	record(t, r, session.Event{Kind: session.Opened, Stream: session.ResizeStream},
		session.Event{Kind: session.Resize, Size: session.Size{Cols: 132, Rows: 43}},
		output(session.Stdout, "one\n"), output(session.Stdout, "two\n"))
	b, err := os.ReadFile(only(t, dir).Path)
	must(t, err)
	must(t, r.Close(session.End{}))
	for _, name := range names(t, dir) {
		must(t, os.Remove(filepath.Join(dir, name)))
	}
	path := filepath.Join(dir, "20261123T173105Z_7f3a9c01.cast.part")
	must(t, os.WriteFile(path, b, 0o600))
	spoil(path)
	return dir
}

func change(t *testing.T, how func(b []byte) []byte) func(path string) {
	return func(path string) {
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, how(b), 0o600))
	}
}

func TestRecover(t *testing.T) {
	tests := []struct {
		name   string
		how    func(b []byte) []byte
		stdout string
		size   session.Size
	}{
		{"a whole one", func(b []byte) []byte { return b }, "one\ntwo\n", session.Size{Cols: 132, Rows: 43}},
		{"a torn last line", func(b []byte) []byte { return b[:len(b)-3] }, "one\n", session.Size{Cols: 132, Rows: 43}},
		{"a line torn after its first byte", func(b []byte) []byte { return append(b, '[') }, "one\ntwo\n", session.Size{Cols: 132, Rows: 43}},
		{"a torn line longer than a block", func(b []byte) []byte { return append(b, strings.Repeat("x", 10000)...) }, "one\ntwo\n", session.Size{Cols: 132, Rows: 43}},
		{"a torn header", func(b []byte) []byte { copy(b[20:], strings.Repeat("\x00", 100)); return b }, "one\ntwo\n", session.Size{Cols: 132, Rows: 43}},
		{"a header only", func(b []byte) []byte { return b[:cast.SlotSize] }, "", session.Size{Cols: 132, Rows: 43}},
		{"half a header", func(b []byte) []byte { return b[:cast.SlotSize/2] }, "", session.DefaultSize},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := leave(t, change(t, test.how))
			must(t, openDir(t, dir).Recover(t.Context()))
			e := only(t, dir)
			if e.Live || e.Summary.EndReason != session.EndInterrupted || e.Summary.ID != "7f3a9c01" {
				t.Errorf("recovered as %+v", e)
			}
			if got := streams(t, e.Path)[session.Stdout]; got != test.stdout {
				t.Errorf("stdout = %q, want %q", got, test.stdout)
			}
			file, err := os.Open(e.Path)
			must(t, err)
			defer func() { _ = file.Close() }()
			d, err := cast.NewDecoder(file)
			must(t, err)
			if d.Header().Size != test.size {
				t.Errorf("size = %v, want %v", d.Header().Size, test.size)
			}
		})
	}
}

func TestAnEmptyLeftoverIsNoCast(t *testing.T) {
	dir := leave(t, change(t, func([]byte) []byte { return nil }))
	must(t, openDir(t, dir).Recover(t.Context()))
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

func TestACastWithoutASummaryGetsOne(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	r := begin(t, d, "7f3a9c01")
	record(t, r, output(session.Stdout, "one\n"))
	must(t, r.Close(session.End{Reason: session.EndCompleted}))
	want := only(t, dir).Summary
	must(t, os.Remove(strings.TrimSuffix(only(t, dir).Path, ".cast")+".json"))

	must(t, d.Recover(t.Context()))
	got := only(t, dir).Summary
	if got.SHA256 != want.SHA256 || got.EndReason != want.EndReason || got.Streams.Stdout.Bytes != want.Streams.Stdout.Bytes {
		t.Errorf("summary = %+v, want %+v", got, want)
	}
}

func TestALiveCastOfAnotherInstanceIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	record(t, r, output(session.Stdout, "one\n"))
	must(t, openDir(t, dir).Recover(t.Context()))
	if !only(t, dir).Live {
		t.Error("it was finished under its recorder")
	}
	record(t, r, output(session.Stdout, "two\n"))
	must(t, r.Close(session.End{}))
	if got := streams(t, only(t, dir).Path)[session.Stdout]; got != "one\ntwo\n" {
		t.Errorf("stdout = %q", got)
	}
}

func TestRecoverAndOpenAtOnce(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := openDir(t, dir), openDir(t, dir)
	var both sync.WaitGroup
	both.Go(func() {
		for range 100 {
			if err := theirs.Recover(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 100 {
		r := begin(t, ours, fmt.Sprintf("%08x", i))
		record(t, r, output(session.Stdout, "one\n"))
		must(t, r.Close(session.End{Reason: session.EndCompleted}))
	}
	both.Wait()
	all, err := sink.List(dir)
	must(t, err)
	for _, e := range all {
		if e.Live || e.Summary.EndReason != session.EndCompleted || e.Summary.SHA256 == "" {
			t.Errorf("%+v", e)
		}
	}
	if len(all) != 100 || len(names(t, dir)) != 200 {
		t.Errorf("%d casts in %d files", len(all), len(names(t, dir)))
	}
}

// A file that may not grow is the nearest thing to a full disk that a test can
// make without mounting one.
func TestWhatCouldNotBeWrittenIsAGap(t *testing.T) {
	if os.Getenv(writerDir+"_LIMITED") == "" {
		limited := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		limited.Env = append(os.Environ(), writerDir+"_LIMITED=1")
		if out, err := limited.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	const limit = 64 << 10
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	must(t, syscall.Setrlimit(rlimitFsize, &syscall.Rlimit{Cur: limit, Max: ^uint64(0)}))
	line := strings.Repeat("x", 999) + "\n"
	var failed error
	sent := 0
	for ; failed == nil; sent += len(line) {
		must(t, r.Record(output(session.Stdout, line)))
		failed = r.Commit()
	}
	for range 3 {
		if err := r.Record(output(session.Stdout, line)); err == nil {
			t.Error("it goes on as if nothing had happened")
		}
	}
	must(t, syscall.Setrlimit(rlimitFsize, &syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}))
	must(t, r.Close(session.End{Reason: session.EndCompleted}))
	e := only(t, dir)
	if got := len(streams(t, e.Path)[session.Stdout]); got != sent {
		t.Errorf("%d bytes of stdout, want %d: the rest of a short write goes first", got, sent)
	}
	if g := e.Summary.Gaps; len(g) != 1 || g[0].Bytes != int64(3*len(line)) || !strings.Contains(g[0].Reason, "file too large") {
		t.Errorf("gaps = %+v", g)
	}
}

const rlimitFsize = 1 // RLIMIT_FSIZE, which package syscall does not name
