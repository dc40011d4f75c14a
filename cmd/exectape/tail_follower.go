package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"exectape/cast"
	"exectape/sink"
)

// followed is how much of a cast is read at once. It is more than any line has
// that exectape writes.
const followed = 1 << 20

// A follower reads a cast of ours that grows. It owns the file.
type follower struct {
	file   *os.File
	offset int64 // of the first line that was not handed on

	introduced bool // whose it is was said
	meant      bool // it is, or may be, in a container that is meant
}

func (f *follower) close() { _ = f.file.Close() }

// over reports whether the cast is finished: it has another name then. What it
// lacked before is there after that.
func (f *follower) over() bool {
	_, err := os.Lstat(f.file.Name())
	return errors.Is(err, fs.ErrNotExist) || sink.IsFinished(f.file.Name())
}

// skip passes over what is there in whole lines. buf has followed bytes.
func (f *follower) skip(buf []byte) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.offset = max(f.offset, info.Size()-int64(len(buf)))
	n, err := f.file.ReadAt(buf, f.offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f.offset += int64(bytes.LastIndexByte(buf[:n], '\n') + 1)
	return nil
}

// next hands on the events that are new, as far as they are there in whole
// lines. buf has followed bytes.
func (f *follower) next(buf []byte, to func(cast.Event) error) error {
	for {
		n, err := f.file.ReadAt(buf, f.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		lines := buf[:bytes.LastIndexByte(buf[:n], '\n')+1]
		if len(lines) == 0 {
			return nil
		}
		f.offset += int64(len(lines))
		if err := each(cast.NewEventDecoder(bytes.NewReader(lines), 2), to); err != nil { // whatever version: times are of no interest
			return fmt.Errorf("%s: %w", f.file.Name(), err)
		}
	}
}

// each hands on all events that are left in a cast.
func each(d *cast.Decoder, to func(cast.Event) error) error {
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = to(ev)
		}
		if err != nil {
			return err
		}
	}
}
