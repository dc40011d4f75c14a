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

	"exectape/session"

	"golang.org/x/sys/unix"
)

// leftover is a cast that is open, locked, and to be finished: its own
// recording's, or one that Recover has found.
type leftover struct {
	file   *os.File
	name   string // without an ending
	ending string // the one that it has
}

// finish turns a cast into a finished one, with its summary beside it, and lets
// go of it. written is what became of its last write. What can't be done does
// not keep the rest from being done.
func (d *Dir) finish(l leftover, s *session.Summary, written error) error {
	defer func() { _ = l.file.Close() }() // and with it the lock, when all is in place
	errs := []error{written}
	if written != nil {
		errs = append(errs, cutTorn(l.file))
	}
	// A failed fdatasync is not tried again: the kernel may have dropped the
	// pages, and would then report success.
	if err := unix.Fdatasync(int(l.file.Fd())); err != nil {
		s.EndDetail = "damaged: " + err.Error()
		errs = append(errs, fmt.Errorf("fdatasync: %w", err))
	}
	sum, err := checksum(l.file)
	s.SHA256 = sum
	errs = append(errs, err)
	if l.ending != castSuffix {
		errs = append(errs, d.root.Rename(l.name+l.ending, l.name+castSuffix))
	}
	errs = append(errs, d.writeSummary(l.name, s), d.sync())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("finish %s: %w", l.name+castSuffix, err)
	}
	return nil
}

// writeSummary puts a summary in place, whole or not at all.
func (d *Dir) writeSummary(name string, s *session.Summary) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file, err := d.root.OpenFile(name+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(b, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, d.root.Remove(name+tempSuffix))
	}
	return d.root.Rename(name+tempSuffix, name+summarySuffix)
}

// checksum returns the SHA-256 of file as sha256sum prints it.
func checksum(file *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, whole(file)); err != nil {
		return "", fmt.Errorf("checksum: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// whole reads file from its beginning to its end, wherever its offset is.
func whole(file *os.File) io.Reader { return io.NewSectionReader(file, 0, math.MaxInt64) }
