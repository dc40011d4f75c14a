package sink

import (
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
	name string // without an ending
	file *os.File

	mu     sync.Mutex // guards what follows
	enc    *cast.Encoder
	facts  facts
	lines  []byte // encoded, not yet written
	offset int64  // of what is written next
	slot   bool   // the header has changed since it was written
	err    error  // the first that a write returned: nothing more is encoded
	lost   int64  // how many bytes were not, since
}

func newRecording(d *Dir, file *os.File, name string, info session.Info) *Recording {
	return &Recording{dir: d, name: name, file: file, enc: cast.NewEncoder(d.version, info), facts: newFacts(info), offset: cast.SlotSize}
}

// Name returns the name of the finished cast.
func (r *Recording) Name() string { return r.name + castSuffix }

// Record implements [session.Recorder]. What was typed is not recorded.
func (r *Recording) Record(e session.Event) error {
	if e.Kind == session.Input {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		if e.Kind == session.Output || e.Kind == session.Raw {
			r.lost += int64(len(e.Data))
		}
		return r.err
	}
	r.facts.see(e)
	r.encode(e)
	if len(r.lines) > maxBuffered {
		return r.write()
	}
	return nil
}

func (r *Recording) encode(e session.Event) {
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
		n, err := r.file.WriteAt(r.lines, r.offset)
		r.offset += int64(n)
		r.lines = r.lines[:copy(r.lines, r.lines[n:])]
		if err != nil {
			r.err = fmt.Errorf("write %s: %w", r.name+liveSuffix, err)
			return r.err
		}
	}
	if cap(r.lines) > maxBuffered {
		r.lines = nil
	}
	if !r.slot {
		return nil
	}
	r.slot = false
	if err := r.writeSlot(); err != nil {
		r.err = fmt.Errorf("write the header of %s: %w", r.name+liveSuffix, err)
		return r.err
	}
	return nil
}

func (r *Recording) writeSlot() error {
	_, err := r.file.WriteAt(r.enc.Header().Slot(), 0)
	return err
}

// Close implements [session.Recorder]. It reads the whole cast once more, for
// its checksum; the session's client has gone by then.
func (r *Recording) Close(end session.End) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	broken := r.err
	r.err = nil // one more try
	if r.lost > 0 {
		loss := &session.Loss{Bytes: r.lost, Reason: broken.Error()}
		gap := session.Event{Kind: session.Gap, At: end.At, Lost: loss}
		r.facts.see(gap)
		r.encode(gap)
	}
	r.lines = r.enc.End(r.lines, end)
	r.slot = true
	err := r.write()
	r.facts.end(end)
	return r.dir.finish(leftover{r.file, r.name, liveSuffix}, &r.facts.summary, err)
}
