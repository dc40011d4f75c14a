package sink

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"exectape/cast"
	"exectape/session"
)

// maxBuffered is how much is encoded before it is written without being asked.
const maxBuffered = 256 << 10

// A Recording keeps one session. It implements [session.Recorder].
type Recording struct {
	dir  *Dir
	cast leftover // until Close finishes it; its stem is the key until then

	mu     sync.Mutex // guards what follows, and is held over writes
	enc    *cast.Encoder
	tally  tally
	lines  []byte // encoded, not yet written
	offset int64  // of what is written next
	slot   bool   // the header has changed since it was written
	err    error  // the first that a write returned: nothing more is encoded
	lost   int64  // how many bytes were not, since
	cut    bool   // the cast is as long as it may get
	beyond int64  // how many bytes came behind that
}

// begin writes what a cast begins with to an empty file.
func begin(d *Dir, file *os.File, stem string, info session.Info) (*Recording, error) {
	enc := cast.NewEncoder(d.options.Version, info)
	r := &Recording{dir: d, cast: leftover{file, stem + liveSuffix, stem}, enc: enc, lines: enc.Begin(nil)}
	return r, r.write()
}

// Name returns the name of the finished cast, once Close has been called.
func (r *Recording) Name() string { return r.cast.stem + castSuffix }

// Record implements [session.Recorder].
func (r *Recording) Record(e session.Event) error {
	if r.dir.options.Stdin != StdinFull && aboutStdin(e) {
		r.countStdin(e)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		r.lost += int64(len(e.Data))
		return r.err
	case r.over(e):
		r.beyond += int64(len(e.Data))
		return errLimit
	}
	r.encode(e)
	if len(r.lines) > maxBuffered {
		return r.write()
	}
	return nil
}

func (r *Recording) encode(e session.Event) {
	r.tally.see(e)
	var slot bool
	r.lines, slot = r.enc.Append(r.lines, e)
	r.slot = r.slot || slot
}

// Commit implements [session.Recorder]: when it returns, write(2) has, and no
// death of this process loses anything that was recorded.
func (r *Recording) Commit() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	return r.write()
}

// write writes what is encoded, and then the header if that has changed. What
// a short write leaves is kept: Close tries it once more.
func (r *Recording) write() error {
	if len(r.lines) > 0 {
		n, err := r.cast.file.WriteAt(r.lines, r.offset)
		r.offset += int64(n)
		r.lines = r.lines[:copy(r.lines, r.lines[n:])]
		if err != nil {
			r.err = fmt.Errorf("write %s: %w", r.cast.name, err)
			return r.err
		}
	}
	if cap(r.lines) > maxBuffered {
		r.lines = nil
	}
	if !r.slot {
		return nil
	}
	if r.err = r.writeSlot(); r.err == nil {
		r.slot = false
	}
	return r.err
}

func (r *Recording) writeSlot() error {
	if _, err := r.cast.file.WriteAt(r.enc.Header().Slot(), 0); err != nil {
		return fmt.Errorf("write the header of %s: %w", r.cast.name, err)
	}
	return nil
}

// Close implements [session.Recorder]. It reads the whole cast once more, for
// its checksum; the session's client has gone by then.
func (r *Recording) Close(end session.End) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { _ = r.cast.file.Close() }() // and with it the lock
	if r.lost > 0 {
		r.encode(session.Event{Kind: session.Gap, At: end.At, Lost: &session.Loss{Bytes: r.lost, Reason: r.err.Error()}})
	}
	if r.beyond > 0 {
		r.encode(session.Event{Kind: session.Gap, At: end.At, Lost: &session.Loss{Bytes: r.beyond, Reason: limitReason}})
	}
	r.lines = r.enc.End(r.lines, end)
	r.slot = true
	err := r.write() // after an error, this is one more try
	if err != nil {
		err = errors.Join(err, r.salvage(err))
	}
	r.cast.stem = finishedStem(r.cast.stem, r.enc.Header().Facts.Identity)
	s := r.tally.summarize(r.enc.Header(), end.At)
	return errors.Join(err, r.dir.finish(r.cast, &s))
}

// salvage makes the best of a cast that can't be written to its end: what is
// there up to the last whole line is kept, and of the rest the summary says that
// it is missing.
func (r *Recording) salvage(cause error) error {
	if err := cutTorn(r.cast.file); err != nil {
		return err
	}
	kept, err := r.cast.readEvents(r.enc.Header())
	if err != nil {
		return err
	}
	if missing := r.tally.bytes - kept.tally.bytes; missing > 0 {
		r.tally.gaps = append(r.tally.gaps, session.Loss{Bytes: missing, Reason: cause.Error()})
	}
	r.tally.streams = kept.tally.streams
	return r.writeSlot() // which takes no room that it hasn't
}
