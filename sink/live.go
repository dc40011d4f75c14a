package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"exectape/cast"
)

// A Growing reads a cast while its session goes on: the header as it was when the
// reading began, then what is behind it, as it grows.
type Growing struct {
	dir    *Dir
	file   *os.File
	name   string
	stem   string // of the name that it is to have, as far as can be seen
	slot   []byte // what is left of the header
	offset int64
}

// OpenLive opens the live cast of that stem.
func (d *Dir) OpenLive(stem string) (*Growing, error) {
	file, err := d.OpenFile(stem + liveSuffix)
	if err != nil {
		return nil, err
	}
	slot, header, err := steadySlot(file)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", stem+liveSuffix, err)
	}
	return &Growing{d, file, stem + liveSuffix, finishedStem(stem, header.Facts.Identity), slot, cast.SlotSize}, nil
}

// steadySlot reads the header, more than once if need be: it may just be being
// written over.
func steadySlot(file *os.File) (slot []byte, header cast.Header, err error) {
	slot = make([]byte, cast.SlotSize)
	var d *cast.Decoder
	for range 3 {
		if _, err := file.ReadAt(slot, 0); err != nil {
			return nil, header, fmt.Errorf("its session has not begun: %w", err)
		}
		if d, err = cast.NewDecoder(bytes.NewReader(slot)); err == nil {
			return slot, d.Header(), nil
		}
	}
	return nil, header, err
}

// Stem returns the stem that the finished cast is to have, by what the header
// says.
func (l *Growing) Stem() string { return l.stem }

// Read returns what there is. It returns no bytes and no error if nothing is
// new, and io.EOF when the cast is finished and all of it, but for what the
// header has come to say, was read.
func (l *Growing) Read(p []byte) (int, error) {
	if len(l.slot) > 0 {
		n := copy(p, l.slot)
		l.slot = l.slot[n:]
		return n, nil
	}
	n, err := l.more(p)
	if n > 0 || err != nil || l.dir.exists(l.name) {
		return n, err
	}
	// It has another name now, and was complete before that.
	if n, err = l.more(p); n > 0 || err != nil {
		return n, err
	}
	if !l.dir.exists(CastName(l.stem)) {
		return 0, fmt.Errorf("%s was not finished as %s", l.name, CastName(l.stem))
	}
	return 0, io.EOF
}

func (l *Growing) more(p []byte) (int, error) {
	n, err := l.file.ReadAt(p, l.offset)
	l.offset += int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Close closes the file.
func (l *Growing) Close() error { return l.file.Close() }
