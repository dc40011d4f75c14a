package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"exectape/cast"
	"exectape/session"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Recover finishes what instances that are gone have left: casts that were
// live, and finished ones without a summary. Of a cast it cuts a torn last
// line and makes an unreadable header again; it changes nothing else. What
// another instance is recording is left alone. One bad file does not keep the
// others from being finished.
func (d *Dir) Recover(ctx context.Context) error {
	found, err := d.leftovers()
	if err != nil {
		return fmt.Errorf("look for casts left behind: %w", err)
	}
	for i, l := range found {
		if ctx.Err() != nil {
			for _, l := range found[i:] {
				_ = l.file.Close()
			}
			return ctx.Err()
		}
		if err := d.recover(l); err != nil {
			_ = l.file.Close()
			d.log.Error("cast left behind not recovered", zap.String("cast", l.name+l.ending), zap.Error(err))
			continue
		}
		d.log.Info("cast left behind finished", zap.String("cast", l.name+castSuffix))
	}
	return nil
}

// leftovers locks and returns every cast that nobody has locked. It holds the
// directory's lock, so that no cast is seen between its making and its locking.
func (d *Dir) leftovers() ([]leftover, error) {
	unlock, err := d.lock(unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock()
	files, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var found []leftover
	for _, f := range files {
		name, ending, ok := d.unfinished(f)
		if !ok {
			continue
		}
		file, err := d.root.OpenFile(f.Name(), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			d.log.Error("cast left behind not recovered", zap.String("cast", f.Name()), zap.Error(err))
			continue
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			_ = file.Close() // a live one
			continue
		}
		found = append(found, leftover{file, name, ending})
	}
	return found, nil
}

// unfinished reports whether f is a cast that lacks its name or its summary.
func (d *Dir) unfinished(f fs.DirEntry) (name, ending string, ok bool) {
	if !f.Type().IsRegular() {
		return "", "", false
	}
	if name, ok = strings.CutSuffix(f.Name(), liveSuffix); ok {
		return name, liveSuffix, true
	}
	if name, ok = strings.CutSuffix(f.Name(), castSuffix); ok {
		return name, castSuffix, !d.exists(name + summarySuffix)
	}
	return "", "", false
}

// recover finishes one cast.
func (d *Dir) recover(l leftover) error {
	if err := d.root.Remove(l.name + tempSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	size, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size == 0 { // its session had not begun
		return errors.Join(d.root.Remove(l.name+l.ending), l.file.Close())
	}
	if err := cutTorn(l.file); err != nil {
		return err
	}
	header, err := repairHeader(l)
	if err != nil {
		return err
	}
	summary, err := summarize(l.file, header)
	if err != nil {
		return err
	}
	return d.finish(l, summary, nil)
}

// cutTorn cuts off a last line that has no end. The header's slot is not taken
// for a line: it is made again if it is torn.
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

// repairHeader returns a cast's header. If that can't be read, it is made of
// what the events say was in it, or of the file's name, and written.
func repairHeader(l leftover) (cast.Header, error) {
	if d, err := cast.NewDecoder(whole(l.file)); err == nil {
		return d.Header(), nil
	}
	header := cast.Header{Version: 2, Size: session.DefaultSize}
	if at, id, ok := strings.Cut(l.name, "_"); ok {
		header.Start, _ = time.Parse(timeInName, at)
		header.Facts.ID = id
	}
	events := cast.NewEventDecoder(io.NewSectionReader(l.file, cast.SlotSize, 1<<62), 2)
	for {
		ev, err := events.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return header, err
		}
		if ev.Code == "h" {
			if err := json.Unmarshal([]byte(ev.Data), &header); err != nil {
				return header, fmt.Errorf("event %q: %w", ev.Code, err)
			}
		}
	}
	_, err := l.file.WriteAt(header.Slot(), 0)
	return header, err
}

// summarize makes the summary of a cast from what is in it.
func summarize(file *os.File, header cast.Header) (*session.Summary, error) {
	f := newFacts(session.Info{
		ID: header.Facts.ID, Start: header.Start, Verb: header.Facts.Verb, Protocol: header.Facts.Protocol,
		Subprotocol: header.Facts.Subprotocol, Target: header.Facts.Target,
	})
	d, err := cast.NewDecoder(whole(file))
	if err != nil {
		return nil, err
	}
	end := session.End{Reason: session.EndInterrupted}
	var exact cast.Exact
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		end.At = ev.At
		if err := f.read(&exact, &header, ev); err != nil {
			return nil, err
		}
	}
	f.summary.TTY, f.summary.ExitCode = header.Facts.TTY, header.Facts.ExitCode
	if header.Facts.EndReason != "" { // only the name or the summary is missing
		end.Reason, end.Detail = header.Facts.EndReason, header.Facts.EndDetail
	}
	f.end(end)
	return &f.summary, nil
}

// read sees one event of a cast as it was seen when it was recorded.
func (f *facts) read(exact *cast.Exact, header *cast.Header, ev cast.Event) error {
	switch ev.Code {
	case "h": // may be ahead of the slot
		if err := json.Unmarshal([]byte(ev.Data), header); err != nil {
			return fmt.Errorf("event %q: %w", ev.Code, err)
		}
		return nil
	case "g":
		var loss session.Loss
		if err := json.Unmarshal([]byte(ev.Data), &loss); err != nil {
			return fmt.Errorf("event %q: %w", ev.Code, err)
		}
		f.see(session.Event{Kind: session.Gap, Lost: &loss})
		return nil
	}
	stream, data, err := exact.Output(ev)
	if len(data) > 0 {
		f.see(session.Event{Kind: session.Output, Stream: stream, Data: data})
	}
	return err
}
