// Demo shows a newcomer what exectape does: it records real sessions and shows
// the casts.
//
// As root it makes a node of its own, with containerd and with exectape's rules,
// in namespaces (see package node). Where that can't be had it says so, and
// shows the same through SOCKS5 with a runtime that needs no privileges (see
// package local). Either way nothing is left but the casts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"exectape/e2e/node"
	"exectape/e2e/recorder"
)

// directoryVariable tells the program inside the namespaces which directory the
// one outside has made.
const directoryVariable = "EXECTAPE_TEST_DEMO"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	run := outside
	if node.Inside() {
		run = inside
	}
	code, err := run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(os.Stderr, "demo:", err)
		code = 1
	}
	os.Exit(code)
}

// outside builds exectape and goes on inside the namespaces, if there can be
// any. The directory that it makes is the user's to remove, once there is a
// cast in it.
func outside(ctx context.Context) (code int, err error) {
	directory, err := os.MkdirTemp("", "exectape-demo-")
	if err != nil {
		return 0, err
	}
	defer func() {
		// Fails, as it should, if there are casts.
		_ = os.Remove(filepath.Join(directory, casts))
		_ = os.Remove(directory)
	}()
	binary, err := recorder.Build(ctx, "..", directory)
	if err != nil {
		return 0, err
	}
	defer os.Remove(binary)

	if missing := node.Missing(); missing != nil {
		return 0, tell(ctx, directory, missing)
	}
	if err := os.Setenv(directoryVariable, directory); err != nil {
		return 0, err
	}
	return node.Enter()
}

func inside(ctx context.Context) (code int, err error) {
	return 0, tell(ctx, os.Getenv(directoryVariable), nil)
}

// tell tells the story, without a node if that is missing.
func tell(ctx context.Context, directory string, missing error) (err error) {
	klog.SetLogger(logr.Discard()) // the client's own words are none of the story
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := &scene{
		story:   story{out: os.Stdout},
		program: recorder.Program{Path: filepath.Join(directory, "exectape")},
		casts:   filepath.Join(directory, casts),
	}
	defer func() { err = errors.Join(err, s.close()) }()
	build := s.buildNode
	if missing != nil {
		build = func(ctx context.Context) error { return s.makeDo(ctx, missing) }
	}
	for _, part := range []func(context.Context) error{
		build,
		s.aShellOnATerminal,
		s.aCommandThatFails,
		s.anUpload,
		s.theCasts,
		s.theEnd,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}
