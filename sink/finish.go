package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"

	"exectape/session"

	"golang.org/x/sys/unix"
)

// A leftover is a cast that is open, locked, and to be finished: its own
// recording's, or one that Recover has found.
type leftover struct {
	file *os.File
	name string
	stem string // of the name that it is to have
}

// errDamaged begins the detail of a cast that the disk may not have.
var errDamaged = errors.New("damaged")

// finish turns a cast into a finished one with its summary beside it. The file
// stays locked until its owner closes it.
//
// The cast is on the disk before it has its name. Whether the rest must be, see
// [Dir.lasting].
func (d *Dir) finish(l leftover, s *session.Summary) error {
	// A failed fdatasync is not tried again: the kernel may have dropped the
	// pages, and would then report success.
	lost := unix.Fdatasync(int(l.file.Fd()))
	if lost != nil {
		lost = fmt.Errorf("%w: fdatasync: %w", errDamaged, lost)
		addDetail(s, lost.Error())
	}
	sum, err := checksum(whole(l.file))
	s.SHA256 = sum
	errs := []error{lost, err}
	if IsLive(l.name) {
		err = d.rename(l.name, l.stem+castSuffix)
	}
	if err == nil { // a summary is for what has its final name
		err = d.writeSummary(l.stem, s)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		d.stats.failures.Add(1)
		return fmt.Errorf("finish %s: %w", l.stem+castSuffix, err)
	}
	return nil
}

// addDetail puts what went wrong with the recording before what there is to say
// of the session.
func addDetail(s *session.Summary, detail string) {
	if s.EndDetail != "" {
		detail += "; " + s.EndDetail
	}
	s.EndDetail = detail
}

// writeSummary puts a summary in place, whole or not at all.
func (d *Dir) writeSummary(stem string, s *session.Summary) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file, err := d.root.OpenFile(stem+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	lasting := d.lasting(s, len(b))
	_, err = file.Write(append(b, '\n'))
	if lasting {
		err = errors.Join(err, file.Sync())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, d.root.Remove(stem+tempSuffix))
	}
	if err := d.rename(stem+tempSuffix, stem+summarySuffix); err != nil || !lasting {
		return err
	}
	return d.sync()
}

// page is what file systems write whole or not at all, in a file that is new.
const page = 4096

// lasting reports whether a summary of that size, and the names of its files,
// must be on the disk at once. If the machine dies before the kernel has written
// any other, it is missing or empty, or its cast still has its live name: then
// the next start makes good from the cast what is lost, which a flush for each
// would cost more than all that the session itself wrote. What is missing from a
// cast is known for certain from its summary only.
func (d *Dir) lasting(s *session.Summary, size int) bool {
	return d.options.Durability == Synced || size >= page || len(s.Gaps) > 0 || strings.HasPrefix(s.EndDetail, errDamaged.Error())
}

// Settle has the disk take what finish may have left to the kernel of that
// stem's cast: its summary, and the names. A summary that somebody else is to
// have must not be made again otherwise.
func (d *Dir) Settle(stem string) error {
	file, err := d.OpenFile(stem + summarySuffix)
	if err != nil {
		return fmt.Errorf("settle %s: %w", stem+summarySuffix, err)
	}
	if err := errors.Join(unix.Fdatasync(int(file.Fd())), file.Close(), d.sync()); err != nil {
		return fmt.Errorf("settle %s: %w", stem+summarySuffix, err)
	}
	return nil
}

// summing are buffers for checksums: every session ends with one.
var summing = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// checksum returns the SHA-256 of what r reads as sha256sum prints it.
func checksum(r io.Reader) (string, error) {
	h, buffer := sha256.New(), summing.Get().(*[32 << 10]byte)
	defer summing.Put(buffer)
	if _, err := io.CopyBuffer(h, r, buffer[:]); err != nil {
		return "", fmt.Errorf("checksum: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// whole reads file from its beginning to its end, wherever its offset is.
func whole(file *os.File) io.Reader { return io.NewSectionReader(file, 0, math.MaxInt64) }
