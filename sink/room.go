package sink

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"exectape/session"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Room is what a directory may take up. Zero values are no bounds.
type Room struct {
	MaxBytes int64         // all casts together, live ones too
	MaxAge   time.Duration // of a finished cast
	MinFree  int64         // what is kept free of the file system, but at most a tenth of it
	Spooled  bool          // a recorder elsewhere is to get the casts: see Acknowledge
}

// keptRoom is what KeepRoom has found out and done.
type keptRoom struct {
	full atomic.Bool  // no session may begin
	bare atomic.Bool  // what could be removed was, and there is too little room all the same
	held atomic.Int64 // bytes that all casts take

	removedForAge, removedForRoom atomic.Int64 // casts
}

// Why a cast was removed.
const (
	forAge  = "age"
	forRoom = "room"
)

const (
	roomBeat  = time.Second      // how often it is seen whether the file system gets full
	roomLook  = 10 * time.Second // and how much there is in the directory
	roomShare = 50               // but for at most one part in so many of the time
)

// KeepRoom removes finished casts as the directory's Room demands, until ctx
// ends: those that are too old, then those that a recorder elsewhere has
// acknowledged, then the others, each time the oldest first. Live ones stay.
//
// With [session.FailClosed] nothing makes room that no recorder has
// acknowledged: then no session begins until there is some. What is too old goes
// all the same, unless a recorder is still to get it.
//
// Several instances may keep room in one directory: each removes what the other
// would.
func (d *Dir) KeepRoom(ctx context.Context) {
	tick := time.NewTicker(roomBeat)
	defer tick.Stop()
	var next time.Time
	blind := false
	for {
		if before := time.Now(); d.ill.Load() == nil && (d.low() || !before.Before(next)) {
			err := d.makeRoom(ctx)
			next = time.Now().Add(max(roomLook, roomShare*time.Since(before)))
			if failed := err != nil && ctx.Err() == nil; failed != blind {
				blind = failed
				if failed {
					d.log.Error("the directory can't be kept in bounds", zap.Error(err))
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// low reports whether there is less free than there should be, and something to
// be done about it.
func (d *Dir) low() bool {
	short, err := d.short()
	return err == nil && short > 0 && !d.room.bare.Load()
}

// short returns how many bytes the file system lacks of what is to be free.
func (d *Dir) short() (int64, error) {
	if d.options.Room.MinFree == 0 {
		return 0, nil
	}
	self, err := d.root.Open(".")
	if err != nil {
		return 0, err
	}
	defer func() { _ = self.Close() }()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(self.Fd()), &fs); err != nil {
		return 0, fmt.Errorf("how much is free: %w", err)
	}
	want := min(d.options.Room.MinFree, int64(fs.Blocks/10)*fs.Bsize)
	return want - int64(fs.Bavail)*fs.Bsize, nil
}

// makeRoom looks at the directory once, and removes what must go.
func (d *Dir) makeRoom(ctx context.Context) error {
	held, total, err := d.holdings()
	if err != nil {
		return err
	}
	short, err := d.short()
	if err != nil {
		return err
	}
	over := short
	if most := d.options.Room.MaxBytes; most > 0 {
		over = max(over, total-most)
	}
	var errs []error
	oldest := time.Now().Add(-d.options.Room.MaxAge)
	for _, h := range held {
		why := forRoom
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case d.options.Room.MaxAge > 0 && h.ended.Before(oldest) && d.mayAge(h):
			why = forAge
		case over <= 0 || !d.mayMakeRoom(h):
			continue
		}
		freed, err := d.discard(h, why)
		errs = append(errs, err)
		over, total = over-freed, total-freed
	}
	d.room.held.Store(total)
	d.room.bare.Store(over > 0)
	d.fill(over)
	return errors.Join(errs...)
}

func (d *Dir) mayAge(h holding) bool {
	return d.options.Policy == session.FailOpen || !d.options.Room.Spooled || h.acknowledged
}

func (d *Dir) mayMakeRoom(h holding) bool {
	return d.options.Policy == session.FailOpen || h.acknowledged
}

// errFull is why no session begins. Its client reads it.
var errFull = errors.New("the directory of casts is full, and no recorder has acknowledged what is in it")

// fill notes whether sessions may begin, now that over bytes could not be freed.
func (d *Dir) fill(over int64) {
	full := over > 0 && d.options.Policy == session.FailClosed
	switch was := d.room.full.Swap(full); {
	case full && !was:
		d.log.Error("no session may begin: the directory is full of casts that no recorder has acknowledged", zap.Int64("bytes_over", over))
	case !full && was:
		d.log.Info("sessions may begin again: there is room in the directory")
	}
}
