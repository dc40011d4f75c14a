package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A holding is a finished cast with all that is beside it.
type holding struct {
	stem         string
	size         int64 // that it takes, with its summary
	ended        time.Time
	acknowledged bool
}

// holdings returns the finished casts in the order in which they are to go, and
// how many bytes all casts take, live ones too. What exectape did not name is
// none of them.
func (d *Dir) holdings() (held []holding, total int64, err error) {
	all, err := d.parts()
	if err != nil {
		return nil, 0, err
	}
	for stem, p := range all {
		if !ours(stem) || !p.hasAny(hasCast|hasLive) {
			continue
		}
		name := stem + liveSuffix
		if p.has(hasCast) {
			name = stem + castSuffix
		}
		info, err := d.root.Lstat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue // it was removed just now, or is no cast
		}
		size := blocks(info.Size())
		if p.has(hasSummary) {
			size += blocks(1)
		}
		total += size
		if p.has(hasCast) {
			held = append(held, holding{stem, size, info.ModTime(), p.has(hasAcknowledged)})
		}
	}
	slices.SortFunc(held, func(a, b holding) int {
		switch {
		case a.acknowledged && !b.acknowledged:
			return -1
		case b.acknowledged && !a.acknowledged:
			return 1
		}
		return strings.Compare(a.stem, b.stem) // which begins with the time
	})
	return held, total, nil
}

// blocks returns what a file of that size takes on most file systems.
func blocks(size int64) int64 { return (size + 4095) &^ 4095 }

// discard removes a cast and what is beside it, unless somebody is at it, and
// returns how many bytes that has freed.
//
// The cast is locked meanwhile, lest a recovery take it for one that lost its
// summary. A death in between leaves either a cast whose summary can be made
// again or strays without a cast; the next [Dir.Recover] does both.
func (d *Dir) discard(h holding, why string) (freed int64, err error) {
	release, err := d.hold(h.stem, unix.LOCK_EX)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h.size, nil // another instance was faster
	case errors.Is(err, errHeld):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("remove %s: %w", h.stem+castSuffix, err)
	}
	defer release()
	if err := d.removeAll(h.stem); err != nil {
		return 0, fmt.Errorf("remove %s: %w", h.stem+castSuffix, err)
	}
	d.countRemoved(why)
	d.log.Info("cast removed", zap.String("cast", h.stem+castSuffix), zap.String("for", why),
		zap.Int64("bytes", h.size), zap.Bool("acknowledged", h.acknowledged))
	return h.size, nil
}

// errHeld is why a cast is left alone.
var errHeld = errors.New("somebody is at it")

// Hold keeps a finished cast from being removed until release is called. Its
// error is [fs.ErrNotExist] if the cast is gone, or going.
func (d *Dir) Hold(stem string) (release func(), err error) {
	release, err = d.hold(stem, unix.LOCK_SH)
	if errors.Is(err, errHeld) {
		err = fs.ErrNotExist // or it is just being finished, and will be found again
	}
	if err != nil {
		return nil, fmt.Errorf("hold %s: %w", CastName(stem), err)
	}
	return release, nil
}

// hold locks a finished cast, if nobody else has.
func (d *Dir) hold(stem string, how int) (release func(), err error) {
	file, err := d.OpenFile(CastName(stem))
	if err != nil {
		return nil, err
	}
	err = flock(file, how|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = errHeld
	case err == nil && !d.names(CastName(stem), file):
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

// removeAll removes a cast, and last what says what became of it.
func (d *Dir) removeAll(stem string) error {
	if err := d.rename(stem+summarySuffix, stem+tempSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, suffix := range [...]string{castSuffix, tempSuffix, acknowledgedSuffix, refusedSuffix} {
		if err := d.remove(stem + suffix); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) countRemoved(why string) {
	if why == forAge {
		d.room.removedForAge.Add(1)
	} else {
		d.room.removedForRoom.Add(1)
	}
}

// stray returns the stem of a file that is nothing without its cast.
func stray(name string) (stem string, ok bool) {
	for _, suffix := range [...]string{tempSuffix, acknowledgedSuffix, refusedSuffix} {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			return stem, true
		}
	}
	return "", false
}
