package sink

import (
	"errors"
	"os"

	"exectape/cast"

	"golang.org/x/sys/unix"
)

// triedName is a file that is made and removed, only to see whether one can be.
// Several instances may do so at once.
const triedName = ".tried"

// Writable returns nil if a cast could be begun now, and else why not. It tries,
// unless it is known already that the disk hangs, and may take as long as the
// disk does.
func (d *Dir) Writable() error {
	if ill := d.ill.Load(); ill != nil {
		return ill
	}
	if d.room.full.Load() {
		return errFull
	}
	return d.try()
}

// try does to the disk what recordings do.
func (d *Dir) try() error {
	file, err := d.root.OpenFile(triedName, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, cast.SlotSize))
	if err == nil && d.options.Durability == Synced {
		err = unix.Fdatasync(int(file.Fd()))
	}
	return errors.Join(err, file.Close(), d.remove(triedName))
}
