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
	size         int64 // of its files
	ended        time.Time
	acknowledged bool
}

// beside are the endings of what a finished cast can have beside it.
var beside = [...]string{summarySuffix, acknowledgedSuffix, refusedSuffix}

// holdings returns the finished casts in the order in which they are to go, and
// how many bytes all casts take, live ones too.
func (d *Dir) holdings() (held []holding, total int64, err error) {
	files, err := fs.ReadDir(d.root.FS(), ".") // in the order of their names, which begin with the time
	if err != nil {
		return nil, 0, fmt.Errorf("look how much there is: %w", err)
	}
	sizes := make(map[string]int64, len(files))
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !f.Type().IsRegular() || !isOurs(f.Name()) {
			continue // or it was removed just now
		}
		sizes[f.Name()] = info.Size()
		total += info.Size()
		if IsFinished(f.Name()) {
			held = append(held, holding{stem: Stem(f.Name()), ended: info.ModTime()})
		}
	}
	for i := range held {
		h := &held[i]
		h.size = sizes[h.stem+castSuffix]
		for _, suffix := range beside {
			h.size += sizes[h.stem+suffix]
		}
		_, h.acknowledged = sizes[h.stem+acknowledgedSuffix]
	}
	var first, last []holding
	for _, h := range held {
		if h.acknowledged {
			first = append(first, h)
		} else {
			last = append(last, h)
		}
	}
	return append(first, last...), total, nil
}

// isOurs reports whether a file of that name is a cast or belongs to one.
func isOurs(name string) bool {
	return IsCast(name) || strings.HasSuffix(name, tempSuffix) ||
		slices.ContainsFunc(beside[:], func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// discard removes a cast and what is beside it, unless somebody is at it, and
// returns how many bytes that has freed.
//
// The cast is locked meanwhile, lest a recovery take it for one that lost its
// summary. A death in between leaves either a cast whose summary can be made
// again or strays without a cast; the next [Dir.Recover] does both.
func (d *Dir) discard(h holding, why string) (freed int64, err error) {
	file, err := d.OpenFile(h.stem + castSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return h.size, nil // another instance was faster
	}
	if err != nil {
		return 0, fmt.Errorf("remove %s: %w", h.stem+castSuffix, err)
	}
	defer func() { _ = file.Close() }() // and with it the lock
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return 0, nil
	}
	if err := d.removeAll(h.stem); err != nil {
		return 0, fmt.Errorf("remove %s: %w", h.stem+castSuffix, err)
	}
	d.countRemoved(why)
	d.log.Info("cast removed", zap.String("cast", h.stem+castSuffix), zap.String("for", why),
		zap.Int64("bytes", h.size), zap.Bool("acknowledged", h.acknowledged))
	return h.size, nil
}

// removeAll removes a cast, and last what says what became of it.
func (d *Dir) removeAll(stem string) error {
	if err := d.root.Rename(stem+summarySuffix, stem+tempSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
