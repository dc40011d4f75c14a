package sink_test

import (
	"bytes"
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
	"go.uber.org/zap/zaptest/observer"
)

// leave makes a directory with a cast whose recorder is gone, as spoil leaves
// it.
func leave(t *testing.T, spoil func(path string)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	d := openDir(t, dir)
	info := newInfo("7f3a9c01")
	info.Start = started
	r, err := d.Open(info)
	must(t, err)
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
		{"a header that lags behind the events", func(b []byte) []byte { copy(b, cast.NewEncoder(2, newInfo("7f3a9c01")).Header().Slot()); return b }, "one\ntwo\n", session.Size{Cols: 132, Rows: 43}},
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

func TestRecoverKeepsWhatTheEventsSay(t *testing.T) {
	wipe := func(b []byte) { copy(b, make([]byte, cast.SlotSize)) }
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			info := newInfo("7f3a9c01")
			e := cast.NewEncoder(version, info)
			file := e.Begin(nil)
			for i, ev := range []session.Event{
				{Kind: session.Opened, Stream: session.Stderr},
				output(session.Stdout, "out\n"),
				output(session.Stderr, "error\n"),
				{Kind: session.Raw, Data: []byte("raw")},
				{Kind: session.Gap, Lost: &session.Loss{Bytes: 17, Reason: "the disk was full"}},
				{Kind: session.Status, Exit: &session.Exit{Code: 3}},
			} {
				ev.At = time.Duration(i) * time.Second
				file, _ = e.Append(file, ev)
			}
			file = file[:bytes.LastIndex(file, []byte(`"h"`))] // torn behind the x
			wipe(file)
			dir := t.TempDir()
			name := info.Start.UTC().Format("20060102T150405Z") + "_7f3a9c01.cast.part"
			must(t, os.WriteFile(filepath.Join(dir, name), file, 0o600))

			must(t, openDir(t, dir).Recover(t.Context()))
			no, three := false, 3
			start := info.Start.UTC().Truncate(time.Second)
			want := session.Summary{
				ID: "7f3a9c01", Start: start, End: start.Add(5 * time.Second), Verb: "exec", Protocol: "spdy",
				Subprotocol: "v4.channel.k8s.io", Target: target, TTY: &no,
				Streams:  session.Streams{Stdout: &session.Count{Bytes: 4}, Stderr: &session.Count{Bytes: 6}},
				ExitCode: &three, EndReason: session.EndInterrupted, Gaps: []session.Loss{{Bytes: 17, Reason: "the disk was full"}},
				SHA256: sha(t, only(t, dir).Path),
			}
			if diff := cmp.Diff(want, only(t, dir).Summary, sameAddr); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecoverChangesNothingThatItDidNotWrite(t *testing.T) {
	const foreign = `{"version": 2, "width": 80, "height": 24}` + "\n[0.5, \"o\", \"hello\"]\n"
	files := map[string]string{
		"demo.cast":      foreign,
		"demo.cast.part": foreign + "[0.6, \"o",
		"notes.cast":     "not a cast\n",
		"notes.txt":      "not a cast either",
	}
	dir := t.TempDir()
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	must(t, openDir(t, dir).Recover(t.Context()))
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}

func TestRecoverRemovesTheBeginningsOfSummaries(t *testing.T) {
	dir := leave(t, func(path string) {
		for _, stray := range []string{strings.TrimSuffix(path, ".cast.part"), filepath.Join(filepath.Dir(path), "its cast is gone")} {
			must(t, os.WriteFile(stray+".json.tmp", []byte(`{"id"`), 0o600))
		}
	})
	must(t, openDir(t, dir).Recover(t.Context()))
	if diff := cmp.Diff([]string{"20261123T173105Z_7f3a9c01.cast", "20261123T173105Z_7f3a9c01.json"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestOfManyRecoveriesOneFinishesEachCast(t *testing.T) {
	const casts, recoveries = 50, 4
	dir := t.TempDir()
	for i := range casts {
		file := cast.NewEncoder(2, newInfo("")).Begin(nil)
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("20261123T173105Z_%08x.cast.part", i)), file, 0o600))
	}
	core, logged := observer.New(zap.DebugLevel)
	var all sync.WaitGroup
	for range recoveries {
		d, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.New(core))
		must(t, err)
		all.Go(func() {
			if err := errors.Join(d.Recover(t.Context()), d.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := logged.FilterMessage("cast left behind finished").Len(); n != casts || logged.Len() != n {
		t.Errorf("%d casts finished %d times: %+v", casts, n, logged.FilterLevelExact(zap.ErrorLevel).All())
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
	done := make(chan struct{})
	var recovering sync.WaitGroup
	recovering.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := theirs.Recover(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	const casts = 50
	for i := range casts {
		r := begin(t, ours, fmt.Sprintf("%08x", i))
		record(t, r, output(session.Stdout, "one\n"))
		must(t, r.Close(session.End{Reason: session.EndCompleted}))
	}
	close(done)
	recovering.Wait()
	all, err := sink.List(dir)
	must(t, err)
	for _, e := range all {
		if e.Live || e.Summary.EndReason != session.EndCompleted || e.Summary.SHA256 == "" {
			t.Errorf("%+v", e)
		}
	}
	if len(all) != casts || len(names(t, dir)) != 2*casts {
		t.Errorf("%d casts in %d files", len(all), len(names(t, dir)))
	}
}

func TestASummaryThatDidNotOutliveTheMachineIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	r := begin(t, d, "7f3a9c01")
	record(t, r, output(session.Stdout, "one\n"))
	must(t, r.Close(session.End{Reason: session.EndCompleted}))
	want := only(t, dir).Summary
	must(t, os.Truncate(strings.TrimSuffix(only(t, dir).Path, ".cast")+".json", 0))

	if e := only(t, dir); e.Err != nil || e.Summary.ID != "7f3a9c01" {
		t.Errorf("with an empty summary it is listed as %+v", e)
	}
	spool, err := d.Spool()
	must(t, err)
	if len(spool.Waiting) > 0 {
		t.Errorf("an empty summary is to be sent: %v", spool.Waiting)
	}
	must(t, d.Recover(t.Context()))
	got := only(t, dir).Summary
	if got.SHA256 != want.SHA256 || got.EndReason != want.EndReason || got.Streams.Stdout.Bytes != want.Streams.Stdout.Bytes {
		t.Errorf("summary = %+v, want %+v", got, want)
	}
	for _, v := range verified(t, dir) {
		if v.State != sink.Good {
			t.Errorf("verdict: %+v", v)
		}
	}
}
