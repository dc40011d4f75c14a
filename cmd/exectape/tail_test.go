package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"exectape/session"
	"exectape/sink"
)

// live begins a session in dir and returns how to say something in it.
func live(t *testing.T, dir, id string) (say func(session.Stream, string), end func()) {
	t.Helper()
	d, err := sink.OpenDir(dir, 2, zap.NewNop())
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
		check(r.Commit())
	}
	return say, func() {
		t.Helper()
		check(r.Close(session.End{Reason: session.EndCompleted}))
		check(d.Close())
	}
}

// printed runs a tail to r, and returns how to wait for what it prints.
func printed(t *testing.T, r *io.PipeReader, w *io.PipeWriter, run func(context.Context) error) (waitFor func(text string), done <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx)
		_ = w.Close()
	}()
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, r)
	})
	var seen strings.Builder
	buf := make([]byte, 4096)
	return func(text string) {
		t.Helper()
		for !strings.Contains(seen.String(), text) {
			n, err := r.Read(buf)
			if err != nil {
				t.Fatalf("%q is not in %q", text, seen.String())
			}
			seen.Write(buf[:n])
		}
	}, ended
}

func TestTailTellsSessionsApartAndDisarmsThem(t *testing.T) {
	dir := t.TempDir()
	sayOld, endOld := live(t, dir, "00000001")
	sayOld(session.Stdout, "said before\n")
	r, w := io.Pipe()
	tail, err := newTail(dir, w)
	if err != nil {
		t.Fatal(err)
	}
	waitFor, _ := printed(t, r, w, tail.run)

	say, end := live(t, dir, "00000002")
	waitFor("00000002| -- session started --\n")
	say(session.Stdout, "$ ")
	waitFor("00000002| $ ")
	sayOld(session.Stderr, "\x1b[31mred\x1b[0m\r\n")
	waitFor("\n00000001| ^[[31mred^[[0m\n")
	say(session.Stdout, "caf\xc3")
	waitFor("00000002| caf\\xc3")
	end()
	waitFor("\n00000002| -- session ended --\n")
	endOld()
	waitFor("00000001| -- session ended --\n")
}

func TestTailOfOneSessionIsAsItWas(t *testing.T) {
	dir := t.TempDir()
	say, end := live(t, dir, "00000001")
	say(session.Stdout, "\x1b[31msaid before, caf\xc3")
	r, w := io.Pipe()
	waitFor, done := printed(t, r, w, func(ctx context.Context) error {
		return runTail(ctx, config{Dir: dir}, []string{"--session", "00000001"}, w)
	})
	waitFor("\x1b[31msaid before, caf\xc3")
	say(session.Stdout, "\xa9\n")
	waitFor("café\n")
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTailOfNothing(t *testing.T) {
	err := runTail(t.Context(), config{Dir: t.TempDir() + "/none"}, nil, io.Discard)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
}
