package sink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// housekeepingLock is the file that is locked by the one instance that uploads
// and prunes. The directory's own lock is for moments, this one for a life.
const housekeepingLock = ".housekeeping"

// housekeepingWait is how often an instance asks whether the other has gone.
const housekeepingWait = time.Second

// Housekeeping waits until no other instance uploads or prunes, and then calls
// work. It returns what work does, or ctx's error if it was never called.
func (d *Dir) Housekeeping(ctx context.Context, work func(context.Context) error) error {
	lock, err := d.root.OpenFile(housekeepingLock, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("housekeeping: %w", err)
	}
	defer func() { _ = lock.Close() }() // and with it the lock
	tick := time.NewTicker(housekeepingWait)
	defer tick.Stop()
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return work(ctx)
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("housekeeping: lock %s: %w", housekeepingLock, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
