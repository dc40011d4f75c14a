package sink

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"exectape/cast"
	"exectape/session"
)

// repair makes a cast whole whose writer was stopped anywhere: it cuts off a
// torn last line, and makes the slot say what the last h says, which was
// written before the slot was. It changes nothing else, and returns what is in
// the cast.
func (l leftover) repair() (reading, error) {
	slot, err := l.readSlot()
	if err != nil {
		return reading{}, err
	}
	if err := cutTorn(l.file); err != nil {
		return reading{}, err
	}
	found, err := l.readEvents(slot)
	if err == nil && found.header.Version != slot.Version { // it was a guess, and so were the times
		found, err = l.readEvents(found.header)
	}
	if err != nil {
		return found, err
	}
	want, have := found.header.Slot(), make([]byte, cast.SlotSize)
	if n, _ := l.file.ReadAt(have, 0); bytes.Equal(want, have[:n]) {
		return found, nil
	}
	_, err = l.file.WriteAt(want, 0)
	return found, err
}

// readSlot returns what the slot says or, if that can't be read, what is known
// from the name.
func (l leftover) readSlot() (cast.Header, error) {
	d, err := cast.NewDecoder(io.NewSectionReader(l.file, 0, cast.SlotSize))
	if err == nil && d.Offset() != cast.SlotSize {
		return cast.Header{}, fmt.Errorf("its header has %d bytes, not %d: exectape did not write it", d.Offset(), cast.SlotSize)
	}
	if err == nil {
		return d.Header(), nil
	}
	header := cast.Header{Version: 2, Size: session.DefaultSize, Facts: cast.Facts{ID: ID(l.stem)}}
	if len(l.stem) >= len(timeInName) {
		header.Start, _ = time.Parse(timeInName, l.stem[:len(timeInName)])
	}
	return header, nil
}

// readEvents reads what is behind the slot, whatever that looks like.
func (l leftover) readEvents(slot cast.Header) (reading, error) {
	events := io.NewSectionReader(l.file, cast.SlotSize, 1<<62)
	return read(cast.NewEventDecoder(events, slot.Version), slot)
}

// cutTorn cuts off a last line that has no end. The slot is not taken for a
// line.
func cutTorn(file *os.File) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var block [4096]byte
	for end := size; end > cast.SlotSize; {
		begin := max(end-int64(len(block)), cast.SlotSize)
		part := block[:end-begin]
		if _, err := file.ReadAt(part, begin); err != nil {
			return err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return truncate(file, size, begin+int64(i)+1)
		}
		end = begin
	}
	return truncate(file, size, min(size, cast.SlotSize))
}

func truncate(file *os.File, size, wanted int64) error {
	if size == wanted {
		return nil
	}
	return file.Truncate(wanted)
}
