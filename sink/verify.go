package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A Verdict is what [Verify] finds out about one cast.
type Verdict struct {
	Path     string   `json:"path"`
	State    State    `json:"state"`
	Problems []string `json:"problems"` // of a bad one: what is at odds with what
}

// A State is what a cast is taken for.
type State string

// The states.
const (
	Good        State = "good"
	Interrupted State = "interrupted" // good, as far as its recorder got
	Live        State = "live"        // being recorded or finished: it promises nothing yet
	LeftBehind  State = "left-behind" // its recorder is gone, and the next has not finished it yet
	Bad         State = "bad"
)

// find adds a problem.
func (v *Verdict) find(format string, args ...any) {
	v.State = Bad
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// Verify computes again what summaries promise: those of all casts in the
// directory at path, or that of the cast at path. It reports the casts to to, in
// the order of their names, and then the summaries that have none. It changes
// nothing, and keeps no recorder waiting.
//
// It finds what has happened to a cast, not what somebody has made of it who can
// write a summary, too.
func Verify(ctx context.Context, path string, to func(Verdict) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return verifyDir(ctx, path, to)
	}
	if !IsCast(path) {
		return fmt.Errorf("verify %s: not the name of a cast", path)
	}
	v, err := verify(ctx, path)
	if err != nil {
		return err
	}
	return to(v)
}

func verifyDir(ctx context.Context, path string, to func(Verdict) error) error {
	files, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("verify casts: %w", err)
	}
	var single []string // what lacks its other half, or did when it was looked at
	for _, f := range files {
		switch name := filepath.Join(path, f.Name()); {
		case strings.HasSuffix(name, summarySuffix):
			if !there(strings.TrimSuffix(name, summarySuffix) + castSuffix) {
				single = append(single, name)
			}
		case !f.Type().IsRegular() || !IsCast(name):
		case IsFinished(name) && !there(Stem(name)+summarySuffix):
			single = append(single, name)
		default:
			if err := tell(ctx, name, to); err != nil {
				return err
			}
		}
	}
	// Some of them were being finished or removed just then.
	for _, name := range single {
		if err := tell(ctx, name, to); err != nil {
			return err
		}
	}
	return nil
}

// tell reports on a cast, or on a summary that lacks its own. What was removed
// meanwhile is passed over.
func tell(ctx context.Context, path string, to func(Verdict) error) error {
	if stem, ok := strings.CutSuffix(path, summarySuffix); ok {
		if there(stem+castSuffix) || !there(path) {
			return nil
		}
		v := Verdict{Path: path}
		v.find("a summary without a cast: that was removed or renamed")
		return to(v)
	}
	v, err := verify(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return to(v)
}

// there reports whether there is a file at path. A symbolic link is none.
func there(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

// verify returns the verdict on one cast. Its error is ctx's, or that the cast
// was removed.
func verify(ctx context.Context, path string) (Verdict, error) {
	v := Verdict{Path: path, State: Good, Problems: []string{}}
	file, err := open(path)
	if err == nil {
		defer func() { _ = file.Close() }()
		v.State, err = state(file)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && IsLive(path): // finished just now
		if name, err := finished(filepath.Dir(path), filepath.Base(path)); err == nil {
			return verify(ctx, filepath.Join(filepath.Dir(path), name))
		}
		return v, err
	case errors.Is(err, fs.ErrNotExist):
		return v, err
	case err != nil:
		v.find("it can't be read: %v", err)
		return v, nil
	case v.State != Good:
		return v, nil
	}
	return v, v.check(ctx, file)
}

// state tells a finished cast from one that is being recorded, is being
// finished, or was left behind. Its error is fs.ErrNotExist if the file has
// another name by now.
func state(file *os.File) (State, error) {
	held, err := held(file)
	if held || err != nil {
		return Live, err
	}
	if _, err := os.Lstat(file.Name()); err != nil {
		return "", err
	}
	if IsLive(file.Name()) {
		return LeftBehind, nil
	}
	return Good, nil
}

// held reports whether somebody records or finishes a cast. To ask, it locks
// the cast for a moment. The recorder that makes one is not in the way of that:
// before it has locked a cast, that is empty. A Recover would take the cast for
// a live one, but for the directory's lock.
func held(file *os.File) (bool, error) {
	if info, err := file.Stat(); err != nil || info.Size() == 0 && IsLive(file.Name()) {
		return true, err
	}
	dir, err := os.Open(filepath.Dir(file.Name()))
	if err != nil {
		return false, err
	}
	defer func() { _ = dir.Close() }() // and with it the lock
	if err := flock(dir, unix.LOCK_SH); err != nil {
		return false, err
	}
	err = flock(file, unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		err = flock(file, unix.LOCK_UN)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
