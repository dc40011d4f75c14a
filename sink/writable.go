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
// and may take as long as the disk does.
func (d *Dir) Writable() error {
	file, err := d.root.OpenFile(triedName, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, cast.SlotSize))
	return errors.Join(err, file.Close(), d.remove(triedName))
}
