package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"exectape/cast"
	"exectape/session"
	"exectape/sink"
)

// live begins a session in dir and returns how to say something in it.
func live(t *testing.T, dir, id string) (say func(session.Stream, string), end func()) {
	t.Helper()
	d, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Open(session.Info{ID: id, Start: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	say = func(stream session.Stream, text string) {
		t.Helper()
		check(r.Record(session.Event{Kind: session.Output, Stream: stream, Data: []byte(text)}))
		check(r.Commit(nil))
	}
	return say, func() {
		t.Helper()
		check(r.Close(session.End{Reason: session.EndCompleted}))
		check(d.Close())
	}
}

// step lets a tail look once and returns what it prints.
func step(t *testing.T, tail *tail, out *strings.Builder) string {
	t.Helper()
	out.Reset()
	if err := tail.step(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTailTellsSessionsApartAndDisarmsThem(t *testing.T) {
	dir := t.TempDir()
	sayOld, endOld := live(t, dir, "00000001")
	sayOld(session.Stdout, "said before\n")
	_, endFinished := live(t, dir, "00000002")
	endFinished()
	var out strings.Builder
	tail, err := newTail(dir, containers{}, &prefixer{w: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer tail.close()

	var say func(session.Stream, string)
	var end func()
	for _, moment := range []struct {
		name   string
		what   func()
		prints string
	}{
		{"nothing happens", func() {}, ""},
		{"a session begins", func() { say, end = live(t, dir, "00000003") }, "00000003| -- session started --\n"},
		{"a prompt", func() { say(session.Stdout, "$ ") }, "00000003| $ "},
		{"what was typed", func() { say(session.Stdout, "ls\r\n") }, "ls\n"},
		{"another prompt", func() { say(session.Stdout, "$ ") }, "00000003| $ "},
		{"another session speaks", func() { sayOld(session.Stderr, "\x1b[31mred\x1b[0m\r\n") }, "\n00000001| ^[[31mred^[[0m\n"},
		{"half a rune", func() { say(session.Stdout, "caf\xc3") }, "00000003| caf"},
		{"its other half", func() { say(session.Stdout, "\xa9\n") }, "é\n"},
		{"bytes that are not text, and controls", func() { say(session.Stdout, "\xff\a\u009b\u202e\tx\r\x7f") }, "00000003| \\xff^G\\u009b\\u202e\tx^M^?"},
		{"a session ends within a line", func() { end() }, "\n00000003| -- session ended --\n"},
		{"an hour in which no name changes", func() {
			if err := os.Chtimes(dir, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"a session that is over before anyone looks", func() {
			say, end = live(t, dir, "00000004")
			say(session.Stdout, "short\n")
			end()
		}, "00000004| -- session started --\n00000004| short\n00000004| -- session ended --\n"},
		{"the other session ends", func() { endOld() }, "00000001| -- session ended --\n"},
		{"nothing happens again", func() {}, ""},
	} {
		moment.what()
		if got := step(t, tail, &out); got != moment.prints {
			t.Errorf("%s: printed %q, want %q", moment.name, got, moment.prints)
		}
	}
}

// All of this happens in the bubble's own time: nobody waits for anything.
func TestTailFollowsUntilItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		say, end := live(t, dir, "00000001")
		ctx, interrupt := context.WithCancel(t.Context())
		var out strings.Builder
		ended := make(chan error)
		go func() { ended <- runTail(ctx, config{Dir: dir}, nil, &out) }()
		synctest.Wait()
		say(session.Stdout, "hello\n")
		time.Sleep(2 * tailInterval)
		interrupt()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		end()
		if want := "00000001| -- session is live --\n00000001| hello\n"; out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
	})
}

func TestTailOfOneSessionIsAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		say, end := live(t, dir, "00000001")
		say(session.Stdout, "\x1b[31msaid before, caf\xc3")
		var out strings.Builder
		ended := make(chan error)
		go func() {
			ended <- runTail(t.Context(), config{Dir: dir}, []string{"--session", "00000001"}, &out)
		}()
		synctest.Wait()
		if want := "\x1b[31msaid before, caf\xc3"; out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
		say(session.Stdout, "\xa9\n")
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if want := "\x1b[31msaid before, caf\xc3\xa9\n"; out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
	})
}

func TestTailFollowsASessionThatGetsAnotherName(t *testing.T) {
	dir := t.TempDir()
	d, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	var out strings.Builder
	tail, err := newTail(dir, containers{}, &prefixer{w: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer tail.close()
	r, err := d.Open(session.Info{ID: "00000001", Start: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := step(t, tail, &out), "00000001| -- session started --\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	sayHello(t, r, "web-5d9")
	if got, want := step(t, tail, &out), "00000001| -- session of shop/web-5d9 app --\n00000001| hello\n00000001| -- session ended --\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if got := step(t, tail, &out); got != "" {
		t.Errorf("printed %q of what is over", got)
	}
}

func TestTailFollowsOnlyTheContainersThatAreMeant(t *testing.T) {
	dir := t.TempDir()
	d, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	var out strings.Builder
	tail, err := newTail(dir, containers{pod: "web-*"}, &prefixer{w: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer tail.close()
	for id, pod := range map[string]string{"00000001": "web-5d9", "00000002": "db-0"} {
		r, err := d.Open(session.Info{ID: id, Start: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		sayHello(t, r, pod)
	}
	if got, want := step(t, tail, &out), "00000001| -- session of shop/web-5d9 app --\n00000001| hello\n00000001| -- session ended --\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestTailLosesNothingToWhoRemovesCasts(t *testing.T) {
	dir := t.TempDir()
	removeAll := func() {
		names, err := filepath.Glob(dir + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	}
	sayOld, endOld := live(t, dir, "00000001")
	var out strings.Builder
	tail, err := newTail(dir, containers{}, &prefixer{w: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer tail.close()
	for _, moment := range []struct {
		name   string
		what   func()
		prints string
	}{
		{"a cast is removed as soon as it is finished", func() {
			sayOld(session.Stdout, "last words\n")
			endOld()
			removeAll()
		}, "00000001| last words\n00000001| -- session ended --\n"},
		{"a cast is removed before anyone looks", func() {
			_, end := live(t, dir, "00000002")
			end()
			removeAll()
		}, ""},
		{"another begins", func() {
			say, end := live(t, dir, "00000003")
			t.Cleanup(end)
			say(session.Stdout, "hello\n")
		}, "00000003| -- session started --\n00000003| hello\n"},
	} {
		moment.what()
		if got := step(t, tail, &out); got != moment.prints {
			t.Errorf("%s: printed %q, want %q", moment.name, got, moment.prints)
		}
	}
}

func TestTailOfABadCastGoesOnWithTheOthers(t *testing.T) {
	dir := t.TempDir()
	say, end := live(t, dir, "00000001")
	defer end()
	var out strings.Builder
	tail, err := newTail(dir, containers{}, &prefixer{w: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer tail.close()
	bad := append(bytes.Repeat([]byte{' '}, cast.SlotSize), "[not a line]\n"...)
	if err := os.WriteFile(filepath.Join(dir, "20261123T173105Z_00000002.cast.part"), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := step(t, tail, &out), "00000002| -- not followed any more: "; !strings.Contains(got, want) {
		t.Errorf("printed %q, want %q in it", got, want)
	}
	say(session.Stdout, "hello\n")
	if got, want := step(t, tail, &out), "00000001| hello\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestTailSaysWhoseALiveSessionIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Open(session.Info{ID: "00000001", Start: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		who := session.Identity{Namespace: "shop", Pod: "web-5d9", Container: "app\x1b[2J", Confidence: session.ConfidenceLikely}
		if err := errors.Join(r.Record(session.Event{Kind: session.Identified, Identity: &who}), r.Commit(nil)); err != nil {
			t.Error(err)
		}
		ctx, interrupt := context.WithTimeout(t.Context(), 10*tailInterval)
		defer interrupt()
		var out strings.Builder
		if err := runTail(ctx, config{Dir: dir}, nil, &out); err != nil {
			t.Error(err)
		}
		if want := "00000001| -- session is live --\n00000001| -- session of shop/web-5d9 app^[[2J --\n"; out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
		if err := errors.Join(r.Close(session.End{}), d.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestTailOfAFinishedFileIsAllOfIt(t *testing.T) {
	dir := t.TempDir()
	say, end := live(t, dir, "00000001")
	say(session.Stdout, "hello\n")
	end()
	names, err := sink.Names(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	var out strings.Builder
	if err := runTail(t.Context(), config{Dir: dir}, []string{filepath.Join(dir, names[0])}, &out); err != nil || out.String() != "hello\n" {
		t.Errorf("printed %q, %v", out.String(), err)
	}
}

func TestTailOfNothing(t *testing.T) {
	err := runTail(t.Context(), config{Dir: t.TempDir() + "/none"}, nil, io.Discard)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
}

// sayHello is the rest of a session of a pod's that says hello.
func sayHello(t *testing.T, r session.Recorder, pod string) {
	t.Helper()
	who := session.Identity{Namespace: "shop", Pod: pod, Container: "app", Confidence: session.ConfidenceExact}
	for _, e := range []session.Event{{Kind: session.Identified, Identity: &who}, {Kind: session.Output, Stream: session.Stdout, Data: []byte("hello\n")}} {
		if err := r.Record(e); err != nil {
			t.Error(err)
		}
	}
	if err := r.Close(session.End{Reason: session.EndCompleted}); err != nil {
		t.Error(err)
	}
}
