package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// acknowledgedSuffix is the ending of an empty file beside a finished cast that
// a recorder elsewhere has, and its summary. It outlives this process: the
// directory is all that an upload remembers.
const acknowledgedSuffix = ".acknowledged"

// Acknowledge notes that a recorder elsewhere has the finished cast of that
// stem and its summary. To do it twice is as good as once.
func (d *Dir) Acknowledge(stem string) error {
	if !d.exists(stem + castSuffix) {
		return fmt.Errorf("acknowledge %s: %w", stem+castSuffix, fs.ErrNotExist) // it was removed meanwhile
	}
	mark, err := d.root.OpenFile(stem+acknowledgedSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("acknowledge %s: %w", stem+castSuffix, err)
	}
	if err := errors.Join(mark.Close(), d.sync()); err != nil {
		return fmt.Errorf("acknowledge %s: %w", stem+castSuffix, err)
	}
	return nil
}
