package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// refusedSuffix is the ending of a text beside a finished cast that says why a
// recorder elsewhere will never take it. Who removes it has the cast sent again.
const refusedSuffix = ".refused"

// A Spool is what a directory has for a recorder elsewhere.
type Spool struct {
	Waiting []Waiting // oldest first
	Live    []string  // the stems of the casts that are not finished yet
}

// A Waiting is a finished cast, its summary beside it, that was neither
// acknowledged nor refused.
type Waiting struct {
	Stem string
	Size int64 // of the cast
}

// Spool returns what there is to send.
func (d *Dir) Spool() (s Spool, err error) {
	all, err := d.parts()
	if err != nil {
		return s, err
	}
	for _, stem := range slices.Sorted(maps.Keys(all)) { // a name begins with the time
		p := all[stem]
		switch {
		case p.has(hasLive):
			s.Live = append(s.Live, stem)
		case p.has(hasCast|hasSummary) && !p.hasAny(hasAcknowledged|hasRefused):
			info, err := d.root.Lstat(CastName(stem))
			if err == nil && info.Mode().IsRegular() && d.summarized(stem) { // else it was removed just now, or is none
				s.Waiting = append(s.Waiting, Waiting{stem, info.Size()})
			}
		}
	}
	return s, nil
}

// CastName returns the name of the finished cast of that stem, SummaryName that
// of its summary.
func CastName(stem string) string { return stem + castSuffix }

// SummaryName returns the name of the summary of that stem's cast.
func SummaryName(stem string) string { return stem + summarySuffix }

// OpenFile opens a file of the directory for reading, by its name.
func (d *Dir) OpenFile(name string) (*os.File, error) {
	return d.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
}

// Refuse notes beside the finished cast of that stem why a recorder elsewhere
// will not take it. It is not sent again until somebody removes the note.
func (d *Dir) Refuse(stem, reason string) error {
	name := stem + refusedSuffix
	note, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note that %s was refused: %w", CastName(stem), err)
	}
	_, err = note.WriteString(strings.TrimRight(reason, "\n") + "\n")
	if err := errors.Join(err, note.Close()); err != nil { // a note without a reason helps nobody
		return fmt.Errorf("note that %s was refused: %w", CastName(stem), errors.Join(err, d.remove(name)))
	}
	return d.sync()
}
