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
		err = d.root.Rename(l.name, l.stem+castSuffix)
	}
	if err == nil { // a summary is for what has its final name
		err = errors.Join(d.writeSummary(l.stem, s), d.sync())
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
	_, err = file.Write(append(b, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, d.root.Remove(stem+tempSuffix))
	}
	return d.root.Rename(stem+tempSuffix, stem+summarySuffix)
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
