package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"exectape/cast"
	"exectape/session"
	"exectape/sink"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// verified returns what Verify says of all that is at path.
func verified(t *testing.T, path string) (all []sink.Verdict) {
	t.Helper()
	must(t, sink.Verify(t.Context(), path, func(v sink.Verdict) error {
		v.Path = filepath.Base(v.Path)
		all = append(all, v)
		return nil
	}))
	return all
}

// told makes a directory with the finished cast of a session in which all kinds
// of things happened, and returns the path of the cast.
func told(t *testing.T, version int) (path string) {
	t.Helper()
	dir := t.TempDir()
	tell(t, dir, version, "7f3a9c01")
	return only(t, dir).Path
}

// whose the sessions here are. The command has no room in a header.
var whose = session.Identity{Namespace: "shop", Pod: "web-5d9", Container: "app", Confidence: session.ConfidenceExact,
	Command: []string{"sh", "-c", strings.Repeat("echo; ", 1000)}}

// started is when all sessions here do, but for the second.
var started = time.Date(2026, 11, 23, 17, 31, 5, 123456789, time.UTC)

func tell(t *testing.T, dir string, version int, id string) {
	t.Helper()
	d, err := sink.OpenDir(dir, sink.Options{Version: version, Stdin: sink.StdinCount}, zap.NewNop())
	must(t, err)
	defer func() { must(t, d.Close()) }()
	info := newInfo(id)
	info.Start = started
	r, err := d.Open(info)
	must(t, err)
	for i, ev := range []session.Event{
		{Kind: session.Opened, Stream: session.Stdin}, {Kind: session.Opened, Stream: session.Stderr},
		output(session.Stdout, "one\n"), output(session.Stderr, "caf\xc3"), output(session.Stderr, "\xa9\n"), output(session.Stdout, "two\n"),
		{Kind: session.Input, Stream: session.Stdin, Data: []byte("typed\n")},
		{Kind: session.Identified, Identity: &whose},
		{Kind: session.Met, Peer: &session.Peer{PID: 812, Name: "kubelet", Executable: "/usr/bin/kubelet"}},
		{Kind: session.Raw, From: session.FromServer, Data: []byte("raw")},
		{Kind: session.Gap, Lost: &session.Loss{Bytes: 17, Reason: "the disk was full"}},
		output(session.Stdout, "three\n"),
		{Kind: session.Status, Exit: &session.Exit{Code: 3, Message: "exit code 3"}},
	} {
		ev.At = time.Duration(i) * time.Second
		record(t, r, ev)
	}
	must(t, r.Close(session.End{At: time.Minute + 1234567*time.Nanosecond, Reason: session.EndCompleted}))
}

// sealed makes the summary have the checksum of the cast as it is: whoever
// edits a cast can do as much.
func sealed(t *testing.T, path string) {
	t.Helper()
	name := sink.Stem(path) + ".json"
	b, err := os.ReadFile(name)
	must(t, err)
	was := `"sha256": "`
	begin := bytes.Index(b, []byte(was)) + len(was)
	copy(b[begin:], sha(t, path))
	must(t, os.WriteFile(name, b, 0o600))
}

// lines changes the lines of a cast. The first is the header.
func lines(t *testing.T, path string, how func([]string) []string) {
	t.Helper()
	change(t, func(b []byte) []byte {
		return []byte(strings.Join(how(strings.SplitAfter(string(b), "\n")), ""))
	})(path)
}

// replace changes a text in a file, and keeps the file's length.
func replace(t *testing.T, path, was, is string) {
	t.Helper()
	change(t, func(b []byte) []byte {
		if !bytes.Contains(b, []byte(was)) || len(was) != len(is) {
			t.Fatalf("%q is not in %s, or is not as long as %q", was, path, is)
		}
		return bytes.ReplaceAll(b, []byte(was), []byte(is))
	})(path)
}

func TestVerifyIsContentWithWhatWasRecorded(t *testing.T) {
	for _, version := range []int{2, 3} {
		path := told(t, version)
		want := []sink.Verdict{{Path: "20261123T173105Z_shop_web-5d9_app_7f3a9c01.cast", State: sink.Good, Problems: []string{}}}
		for _, place := range []string{filepath.Dir(path), path} {
			if diff := cmp.Diff(want, verified(t, place)); diff != "" {
				t.Errorf("v%d (-want +got):\n%s", version, diff)
			}
		}
	}
}

func TestVerifyFinds(t *testing.T) {
	const checksum = "its SHA-256 is "
	tests := []struct {
		name string
		what func(t *testing.T, path string)
		want []string // what each problem begins with
	}{
		{"a flipped bit of the output", func(t *testing.T, path string) { replace(t, path, `"two\n"`, `"twn\n"`) }, []string{checksum}},
		{"another who opened it", func(t *testing.T, path string) {
			replace(t, path, `"pid":812,`, `"pid":813,`)
			replace(t, path, `\"pid\":812,`, `\"pid\":813,`)
		}, []string{checksum, "peer.pid: 813 in the cast, 812 in its summary"}},
		{"a flipped bit of a line's form", func(t *testing.T, path string) { replace(t, path, `"two\n"`, `"two\n!`) }, []string{checksum, "line "}},
		{"a flipped bit of the header", func(t *testing.T, path string) {
			replace(t, path, `"tty":false,"exit_code":3,`, `"tty":false,"exit_code":1,`)
		}, []string{checksum, "exit_code: 1 in its header, 3 in its events", "exit_code: 1 in the cast, 3 in its summary"}},
		{"a flipped bit of the header's padding", func(t *testing.T, path string) {
			change(t, func(b []byte) []byte { b[cast.SlotSize-100] ^= 2; return b })(path)
		}, []string{checksum, "read a cast's header"}},
		{"a removed line", func(t *testing.T, path string) {
			lines(t, path, func(l []string) []string { return append(l[:3], l[4:]...) })
		}, []string{checksum, "stdout: 10 bytes in the cast, 14 in its summary"}},
		{"two swapped lines", func(t *testing.T, path string) {
			lines(t, path, func(l []string) []string { l[3], l[4] = l[4], l[3]; return l })
		}, []string{checksum, "line 5 is earlier than the one before it", "stdout: ", "stderr: "}},
		{"a file cut off behind a line", func(t *testing.T, path string) {
			lines(t, path, func(l []string) []string { return l[:len(l)-3] })
		}, []string{checksum, `end_detail: "exit code 3" in its header, none in its events`, `end_reason: "completed" in its header, none in its events`,
			"stdin_bytes: 6 in its header, none in its events", "duration: "}},
		{"a file cut off within a line", func(t *testing.T, path string) {
			change(t, func(b []byte) []byte { return b[:len(b)-30] })(path)
		}, []string{checksum, "it ends within line "}},
		{"a file cut off within its header", func(t *testing.T, path string) {
			change(t, func(b []byte) []byte { return b[:1000] })(path)
		}, []string{checksum, "read a cast's header: "}},
		{"an empty file", func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) }, []string{checksum, "read a cast's header: "}},
		{"a missing summary", func(t *testing.T, path string) { must(t, os.Remove(sink.Stem(path)+".json")) }, []string{"it has lost its summary"}},
		{"half a summary", func(t *testing.T, path string) {
			must(t, os.Truncate(sink.Stem(path)+".json", 100))
		}, []string{"its summary can't be read: "}},
		{"a foreign summary", func(t *testing.T, path string) {
			other := t.TempDir()
			tell(t, other, 2, "00000002")
			must(t, os.Rename(sink.Stem(only(t, other).Path)+".json", sink.Stem(path)+".json"))
		}, []string{"its summary is that of another session, 00000002"}},
		{"a foreign cast", func(t *testing.T, path string) {
			other := t.TempDir()
			tell(t, other, 2, "00000002")
			must(t, os.Rename(only(t, other).Path, path))
		}, []string{checksum, "its header is that of 20261123T173105Z_00000002", `id: "00000002" in the cast, "7f3a9c01" in its summary`}},
		{"a summary without a checksum", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `"sha256":`, `"sha257":`)
		}, []string{checksum}},
		{"a disk that failed", func(t *testing.T, path string) {
			change(t, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"end_detail": "`), []byte(`"end_detail": "damaged: fdatasync: input/output error; `), 1)
			})(sink.Stem(path) + ".json")
		}, []string{"its recorder could not make it durable: damaged: fdatasync: input/output error; exit code 3"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, version := range []int{2, 3} {
				path := told(t, version)
				test.what(t, path)
				all := verified(t, filepath.Dir(path))
				if len(all) != 1 || all[0].State != sink.Bad {
					t.Fatalf("v%d: verdicts = %+v", version, all)
				}
				if version == 2 { // with times that are counted from the line before, other things are at odds, too
					theyBegin(t, test.want, all[0].Problems)
				}
			}
		})
	}
}

// theyBegin checks what each of the problems begins with.
func theyBegin(t *testing.T, want, problems []string) {
	t.Helper()
	ok := len(want) == len(problems)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.HasPrefix(problems[i], want[i])
	}
	if !ok {
		t.Errorf("problems:\n\t%s\nwant what begins so:\n\t%s", strings.Join(problems, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// A checksum finds corruption. Who edits a cast can make the checksum again, and
// overlook the rest.
func TestVerifyFindsWhatAnEditorOverlooks(t *testing.T) {
	tests := []struct {
		name string
		what func(t *testing.T, path string)
		want []string
	}{
		{"output that is shorter", func(t *testing.T, path string) {
			change(t, func(b []byte) []byte { return bytes.Replace(b, []byte(`"two\n"`), []byte(`"2\n"`), 1) })(path)
		}, []string{"stdout: 12 bytes in the cast, 14 in its summary"}},
		{"a removed line of stderr", func(t *testing.T, path string) {
			lines(t, path, func(l []string) []string { return append(l[:7], l[8:]...) })
		}, []string{"stderr: 4 bytes in the cast, 6 in its summary"}},
		{"a removed gap", func(t *testing.T, path string) {
			lines(t, path, func(l []string) []string {
				for i := range l {
					if strings.Contains(l[i], `"g"`) {
						return append(l[:i], l[i+1:]...)
					}
				}
				return l
			})
		}, []string{"gaps: [] in the cast, [{17 the disk was full}] in its summary"}},
		{"another exit code in the header", func(t *testing.T, path string) {
			change(t, func(b []byte) []byte { return bytes.Replace(b, []byte(`"exit_code":3`), []byte(`"exit_code":0`), 1) })(path)
		}, []string{"exit_code: 0 in its header, 3 in its events", "exit_code: 0 in the cast, 3 in its summary"}},
		{"another exit code everywhere in the cast", func(t *testing.T, path string) {
			change(t, func(b []byte) []byte {
				b = bytes.Replace(b, []byte(`"exit_code":3`), []byte(`"exit_code":0`), 1)
				return bytes.ReplaceAll(b, []byte(`exit_code\":3`), []byte(`exit_code\":0`))
			})(path)
		}, []string{"exit_code: 0 in the cast, 3 in its summary"}},
		{"another exit code in the summary", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `"exit_code": 3`, `"exit_code": 0`)
		}, []string{"exit_code: 3 in the cast, 0 in its summary"}},
		{"another pod in the summary", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `"web-5d9"`, `"web-5d8"`)
		}, []string{`identity.pod: "web-5d9" in the cast, "web-5d8" in its summary`}},
		{"another end in the summary", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `"completed"`, `"cancelled"`)
		}, []string{`end_reason: "completed" in the cast, "cancelled" in its summary`}},
		{"another target in the summary", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `"127.0.0.1:34567"`, `"127.0.0.1:34568"`)
		}, []string{`target: "127.0.0.1:34567" in the cast, "127.0.0.1:34568" in its summary`}},
		{"another year everywhere in the summary", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `"2026-`, `"2025-`)
		}, []string{"timestamp: 1795455065 in the cast, 1763919065 in its summary"}},
		{"another end time in the summary", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `T17:32:`, `T17:42:`)
		}, []string{"duration: 1m0.001234s in the cast, 11m0.001234s in its summary"}},
		{"less typed, in the summary", func(t *testing.T, path string) {
			replace(t, sink.Stem(path)+".json", `"bytes": 6`, `"bytes": 5`)
		}, []string{"stdin: 6 bytes in the cast, 5 in its summary", "stderr: 6 bytes in the cast, 5 in its summary"}},
		{"another name", func(t *testing.T, path string) {
			for _, suffix := range []string{".cast", ".json"} {
				name := sink.Stem(path) + suffix
				must(t, os.Rename(name, strings.Replace(name, "20261123", "20261122", 1)))
			}
		}, []string{"its header is that of 20261123T173105Z_7f3a9c01: "}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := told(t, 2)
			dir := filepath.Dir(path)
			test.what(t, path)
			sealed(t, only(t, dir).Path)
			all := verified(t, dir)
			if len(all) != 1 || all[0].State != sink.Bad {
				t.Fatalf("verdicts = %+v", all)
			}
			theyBegin(t, test.want, all[0].Problems)
		})
	}
}

func TestVerifyFindsASummaryWithoutACast(t *testing.T) {
	for name, hide := range map[string]func(path string) error{
		"a removed cast":                    os.Remove,
		"a cast renamed to look live":       func(path string) error { return os.Rename(path, path+".part") },
		"a cast that is a symbolic link":    func(path string) error { return errors.Join(os.Rename(path, path+"2"), os.Symlink(path+"2", path)) },
		"a cast with a name that is no one": func(path string) error { return os.Rename(path, path+".bak") },
	} {
		t.Run(name, func(t *testing.T) {
			path := told(t, 2)
			must(t, hide(path))
			var bad []sink.Verdict
			for _, v := range verified(t, filepath.Dir(path)) {
				if v.State == sink.Bad {
					bad = append(bad, v)
				}
			}
			if len(bad) != 1 || !strings.HasPrefix(bad[0].Problems[0], "a summary without a cast") {
				t.Errorf("bad: %+v", bad)
			}
		})
	}
}

func TestVerifySaysWhatPromisesNothing(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(t *testing.T) (dir string)
		want sink.State
	}{
		{"a live session", func(t *testing.T) string {
			dir := t.TempDir()
			r := begin(t, openDir(t, dir), "7f3a9c01")
			t.Cleanup(func() { _ = r.Close(session.End{}) })
			return dir
		}, sink.Live},
		{"a cast that is about to begin", func(t *testing.T) string {
			return leave(t, func(path string) { must(t, os.Truncate(path, 0)) })
		}, sink.Live},
		{"a cast whose recorder is gone", func(t *testing.T) string { return leave(t, func(string) {}) }, sink.LeftBehind},
		{"what the next recorder made of it", func(t *testing.T) string {
			dir := leave(t, change(t, func(b []byte) []byte { return b[:len(b)-3] }))
			must(t, openDir(t, dir).Recover(t.Context()))
			return dir
		}, sink.Interrupted},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := verified(t, test.make(t))
			if len(all) != 1 || all[0].State != test.want || len(all[0].Problems) > 0 {
				t.Errorf("verdicts = %+v, want one that is %s", all, test.want)
			}
		})
	}
}

// verifyAll verifies a directory again and again until stop is called.
func verifyAll(t *testing.T, dir string, each func(sink.Verdict)) (stop func()) {
	done := make(chan struct{})
	var verifying sync.WaitGroup
	verifying.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := sink.Verify(context.Background(), dir, func(v sink.Verdict) error { each(v); return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	return func() { close(done); verifying.Wait() }
}

func TestVerifyFindsNothingInWhatIsBeingRecorded(t *testing.T) {
	dir := t.TempDir()
	stop := verifyAll(t, dir, func(v sink.Verdict) {
		if v.State == sink.Bad || v.State == sink.LeftBehind {
			t.Errorf("%+v", v)
		}
	})
	d := openDir(t, dir)
	for i := range 50 {
		r := begin(t, d, fmt.Sprintf("%08x", i))
		record(t, r, output(session.Stdout, "one\n"))
		must(t, r.Close(session.End{At: time.Second, Reason: session.EndCompleted}))
	}
	stop()
}

// Who verifies must not look like a recorder, whose casts nobody finishes.
func TestVerifyIsNotInTheWayOfRecover(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	file := cast.NewEncoder(2, newInfo("")).Begin(nil)
	stop := verifyAll(t, dir, func(sink.Verdict) {})
	for i := range 50 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("20261123T173105Z_%08x.cast.part", i)), file, 0o600))
		must(t, d.Recover(t.Context()))
	}
	stop()
	all, err := sink.List(dir)
	must(t, err)
	for _, e := range all {
		if e.Live || e.Summary.SHA256 == "" {
			t.Errorf("%s was left as it is", e.Path)
		}
	}
}

func TestVerifyEndsWhenItIsInterrupted(t *testing.T) {
	path := told(t, 2)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	err := sink.Verify(ctx, path, func(sink.Verdict) error { t.Error("reported"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

func TestVerifyFindsAFlippedBitWhereverItIs(t *testing.T) {
	path := told(t, 3)
	b, err := os.ReadFile(path)
	must(t, err)
	for i := 0; i < len(b); i += 31 { // the header, its padding, and every kind of line
		b[i] ^= 1 << (i % 8)
		must(t, os.WriteFile(path, b, 0o600))
		if all := verified(t, path); all[0].State != sink.Bad {
			t.Errorf("byte %d is %q, and nobody sees it", i, b[i])
		}
		b[i] ^= 1 << (i % 8)
	}
}
