package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"exectape/cast"
	"exectape/session"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Recover finishes what instances that are gone have left: casts that were
// live, and finished ones without a summary. What another instance is recording
// is left alone. One bad file does not keep the others from being finished.
func (d *Dir) Recover(ctx context.Context) error {
	files, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("look for casts left behind: %w", err)
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		finished, err := d.recover(f)
		switch {
		case err != nil:
			d.log.Error("cast left behind not recovered", zap.String("file", f.Name()), zap.Error(err))
		case finished != "":
			d.log.Info("cast left behind finished", zap.String("cast", finished))
		}
	}
	return nil
}

// recover finishes the cast that f is, and returns its name, if it was left
// behind.
func (d *Dir) recover(f fs.DirEntry) (finished string, err error) {
	if stem, ok := stray(f.Name()); ok {
		return "", d.removeStray(f.Name(), stem)
	}
	if !f.Type().IsRegular() || !IsCast(f.Name()) {
		return "", nil
	}
	l, err := d.claim(f.Name())
	if err != nil || l.file == nil {
		return "", err
	}
	defer func() { _ = l.file.Close() }() // and with it the lock
	info, err := l.file.Stat()
	if err != nil {
		return "", err
	}
	if info.Size() == 0 { // its session had not begun
		return "", d.remove(f.Name())
	}
	found, err := l.contents()
	if err != nil {
		return "", err
	}
	if IsLive(l.name) {
		l.stem = finishedStem(l.stem, found.header.Facts.Identity)
	}
	if err := d.remove(l.stem + tempSuffix); err != nil {
		return "", err
	}
	s := found.tally.summarize(found.header, found.took)
	if s.EndReason == "" { // else only the name or the summary is missing
		s.EndReason = session.EndInterrupted
	}
	return l.stem + castSuffix, d.finish(l, &s)
}

// claim locks an unfinished cast. It returns the zero leftover if there is none
// of that name, or somebody else has it.
func (d *Dir) claim(name string) (l leftover, err error) {
	if !d.unfinished(name) {
		return leftover{}, nil
	}
	// No cast is seen between its making and its locking.
	unlock, err := d.lock(unix.LOCK_EX)
	if err != nil {
		return leftover{}, err
	}
	defer unlock()
	file, err := d.root.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return leftover{}, nil
	}
	if err != nil {
		return leftover{}, err
	}
	// The lock may have come free because its holder has just finished the
	// cast: only what is still there under that name is a leftover.
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || !d.names(name, file) || !d.unfinished(name) {
		return leftover{}, file.Close()
	}
	return leftover{file, name, Stem(name)}, nil
}

// unfinished reports whether a cast lacks its final name or its summary.
func (d *Dir) unfinished(name string) bool {
	return IsLive(name) || !d.summarized(Stem(name))
}

// summarized reports whether a cast has its summary. An empty one is what the
// machine's death has left of it.
func (d *Dir) summarized(stem string) bool {
	info, err := d.root.Lstat(stem + summarySuffix)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return info.Size() > 0
}

// names reports whether name is the name of file.
func (d *Dir) names(name string, file *os.File) bool {
	there, err := d.root.Lstat(name)
	if err != nil {
		return false
	}
	here, err := file.Stat()
	return err == nil && os.SameFile(there, here)
}

// contents reads the cast, after a repair if it was live. A finished one is
// never changed.
func (l leftover) contents() (reading, error) {
	if IsLive(l.name) {
		return l.repair()
	}
	d, err := cast.NewDecoder(whole(l.file))
	if err != nil {
		return reading{}, err
	}
	return read(d, d.Header())
}

// removeStray removes a note, or the beginning of a summary, whose cast is gone.
// While the cast is there, whoever finishes that may be writing it.
func (d *Dir) removeStray(name, stem string) error {
	if d.exists(stem+castSuffix) || d.exists(stem+liveSuffix) {
		return nil
	}
	return d.remove(name)
}

func (d *Dir) remove(name string) error {
	if err := d.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
