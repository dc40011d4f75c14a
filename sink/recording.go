package sink

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"exectape/cast"
	"exectape/session"

	"golang.org/x/sys/unix"
)

// maxBuffered is how much of what is encoded is kept without being written: in
// [Buffered] recordings, and of what little is still taken by suspended ones.
const maxBuffered = 256 << 10

// A Recording keeps one session. It implements [session.Recorder].
//
// At most one goroutine writes at a time: of those that want to, the first does
// so for all, without a lock, and the others wait for it. If it hangs they are
// let go, and so is its session.
//
// A recording whose writing failed is suspended. What it had accepted is kept,
// what comes is counted, and when the disk is back a gap says how much that was.
type Recording struct {
	dir   *Dir
	began atomic.Uint32 // the watch's tick when the write began that is going on; 0: none

	mu       sync.Mutex // guards what follows; not held over writes
	settled  sync.Cond  // of mu: a write has ended, or err has changed
	cast     leftover   // until Close finishes it; its stem is the key until then
	enc      *cast.Encoder
	tally    tally
	lines    []byte // accepted, not yet written
	slot     bool   // the header has changed since it was written
	offset   int64  // of what is written next
	lost     int64  // bytes that came while it was suspended
	lostAt   time.Duration
	unwanted bool  // it is not to be finished
	cut      bool  // the cast is as long as it may get
	beyond   int64 // how many bytes came behind that
	damage   error // the disk may not have what was written

	writing bool
	flying  int         // bytes that are being written
	overdue func(error) // goes on in place of who writes
	handed  bool        // overdue was called
	noticed uint32      // the last write that the watch has found overdue
	making  bool        // its file is being made
	begun   bool        // its beginning was tried to the end
	late    bool        // nobody waits for that any more
	err     error       // why it is suspended
}

func newRecording(d *Dir, info session.Info) *Recording {
	stem := info.Start.UTC().Format(timeInName) + "_" + info.ID
	r := &Recording{dir: d, cast: leftover{name: stem + liveSuffix, stem: stem}, enc: cast.NewEncoder(d.options.Version, info)}
	r.settled.L = &r.mu
	r.lines = r.enc.Begin(takeLines())
	return r
}

// spare are buffers of lines, and of slots: an idle session has none. A new one
// has room for what a cast begins with.
var spare = sync.Pool{New: func() any { b := make([]byte, 0, 2*cast.SlotSize); return &b }}

func takeLines() []byte { return *spare.Get().(*[]byte) }

// maxSpare is the longest buffer that is lent again. All that a copier reads at
// once is six times as long where every byte of it is escaped.
const maxSpare = 4 << 20

func giveLines(b []byte) {
	if b = b[:0]; cap(b) <= maxSpare {
		spare.Put(&b)
	}
}

// Name returns the name of the finished cast, once Close has been called.
func (r *Recording) Name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cast.stem + castSuffix
}

// Record implements [session.Recorder].
func (r *Recording) Record(e session.Event) error {
	if r.dir.options.Stdin != StdinFull && aboutStdin(e) {
		r.countStdin(e)
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look()
	switch {
	case r.err != nil:
		return r.lose(e)
	case r.over(e):
		r.beyond += int64(len(e.Data))
		r.dir.stats.beyond.Add(int64(len(e.Data)))
		return errLimit
	}
	r.encode(e)
	return nil
}

func (r *Recording) encode(e session.Event) {
	r.tally.see(e)
	r.dir.stats.record(e)
	var slot bool
	r.lines, slot = r.enc.Append(r.into(), e)
	r.slot = r.slot || slot
}

// into returns what lines are appended to.
func (r *Recording) into() []byte {
	if r.lines == nil {
		return takeLines()
	}
	return r.lines
}

// look suspends the recording if no session may touch the disk.
func (r *Recording) look() {
	if ill := r.dir.ill.Load(); ill != nil {
		r.suspend(ill)
	}
}

// lose counts what comes while the recording is suspended. What there is little
// of, such as the outcome, is kept all the same.
func (r *Recording) lose(e session.Event) error {
	if len(e.Data) > 0 {
		r.lost, r.lostAt = r.lost+int64(len(e.Data)), e.At
		r.dir.stats.failed.Add(int64(len(e.Data)))
	} else if len(r.lines) < maxBuffered {
		r.encode(e)
	}
	return r.err
}

// Commit implements [session.Recorder].
func (r *Recording) Commit(overdue func(error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look()
	for r.writing && r.err == nil {
		r.settled.Wait()
	}
	if r.err != nil || !r.pending() || r.dir.options.Durability == Buffered && len(r.lines) <= maxBuffered {
		return r.err
	}
	if err := r.fly(overdue); errors.Is(err, session.ErrOverdue) {
		return err
	}
	return r.err
}

// pending reports whether there is anything to write.
func (r *Recording) pending() bool { return len(r.lines) > 0 || r.slot }

// fly writes what was accepted, and then the header if that has changed. The
// lock is given up meanwhile. What a short write leaves goes first the next
// time. An error suspends the recording.
func (r *Recording) fly(overdue func(error)) error {
	f := flight{file: r.cast.file, lines: r.lines, offset: r.offset, sync: r.dir.options.Durability == Synced}
	if r.slot {
		f.slot = r.enc.AppendSlot(takeLines())
	}
	r.lines, r.slot = nil, false
	r.writing, r.flying, r.overdue = true, len(f.lines), overdue
	r.began.Store(r.dir.tick.Load())

	r.mu.Unlock()
	written, err := f.write()
	r.mu.Lock()

	r.began.Store(0)
	r.writing, r.flying, r.overdue = false, 0, nil
	r.offset += int64(written)
	switch rest := f.lines[written:]; {
	case len(rest) > 0:
		r.lines = append(rest, r.lines...)
	case f.lines != nil:
		giveLines(f.lines)
	}
	if f.slot != nil {
		giveLines(f.slot)
	}
	if err != nil {
		r.slot = r.slot || f.slot != nil
		if errors.Is(err, errDamaged) {
			r.damage = err
		}
		err = fmt.Errorf("write %s: %w", r.cast.name, err)
		r.suspend(err)
	}
	r.settled.Broadcast()
	if r.handed {
		r.handed = false
		return session.ErrOverdue
	}
	return err
}

// A flight is one write, which may hang.
type flight struct {
	file   *os.File
	lines  []byte
	offset int64
	slot   []byte // or nil
	sync   bool
}

// write returns how much of the lines was written.
func (f *flight) write() (n int, err error) {
	if len(f.lines) > 0 {
		n, err = f.file.WriteAt(f.lines, f.offset)
	}
	if err == nil && f.slot != nil {
		_, err = f.file.WriteAt(f.slot, 0)
	}
	if err == nil && f.sync {
		if err = unix.Fdatasync(int(f.file.Fd())); err != nil {
			err = fmt.Errorf("%w: fdatasync: %w", errDamaged, err)
		}
	}
	return n, err
}

// suspend keeps the recording from touching the disk until [Dir.probe] has.
func (r *Recording) suspend(why error) {
	if r.err != nil {
		return
	}
	r.err = why
	r.dir.stats.failures.Add(1)
	r.dir.suspended.Add(1)
	r.dir.startProbe(why)
	r.settled.Broadcast()
}

// resume lets it go on behind a gap.
func (r *Recording) resume() {
	if r.lost > 0 {
		r.encode(session.Event{Kind: session.Gap, At: r.lostAt, Lost: &session.Loss{Bytes: r.lost, Reason: r.err.Error()}})
		r.lost = 0
	}
	r.err = nil
	r.dir.suspended.Add(-1)
	r.settled.Broadcast()
}

// stall lets go whoever waits for a write that is overdue.
func (r *Recording) stall(began uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.began.Load() != began || r.noticed == began {
		return
	}
	r.noticed = began
	why := r.dir.hangs("write " + r.cast.name)
	r.suspend(why)
	if r.overdue != nil {
		r.handed = true
		go r.overdue(r.err) // it becomes one of the session's own
		r.overdue = nil
	}
	r.dir.trip(why)
}

// retry tries to go on with a suspended recording: first with what it had
// accepted. It is for the prober, and for Close.
func (r *Recording) retry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retryLocked()
}

func (r *Recording) retryLocked() {
	if r.err == nil || r.writing || r.making {
		return // it goes on, or whoever hangs in it must come back first
	}
	if r.cast.file == nil && r.make() != nil || r.fly(nil) != nil {
		return
	}
	r.resume()
	if r.pending() {
		_ = r.fly(nil) // or it is suspended again
	}
}
