package sink

import (
	"errors"
	"time"

	"exectape/session"
)

// maxFinishing is how many casts are being finished at once. With a disk that
// hangs or is full, as many ended sessions are kept in memory until it is back.
const maxFinishing = 128

// errLeft is why a cast will not be finished by the one who recorded it.
var errLeft = errors.New("so many casts wait for the disk that this one is left to the next start, or to the disk's return")

// Close implements [session.Recorder]. It reads the whole cast once more, for
// its checksum; the session's client has gone by then. If the disk hangs or is
// full, it returns, and the cast is finished later.
func (r *Recording) Close(end session.End) error {
	r.mu.Lock()
	r.cast.stem = finishedStem(r.cast.stem, r.enc.Header().Facts.Identity)
	r.mu.Unlock()

	d := r.dir
	late := time.NewTimer(d.options.Timeout)
	defer late.Stop()
	select {
	case d.finishing <- struct{}{}:
	case <-late.C:
		r.leave()
		return errLeft
	}
	said := make(chan error, 2) // that it waits, and how it ended
	d.working.Go(func() {
		said <- r.finish(end, said)
		<-d.finishing
	})
	select {
	case err := <-said:
		return err
	case <-late.C:
		return d.hangs("finish " + r.Name())
	}
}

// Discard is Close for a session of which nothing is to be left.
func (r *Recording) Discard(end session.End) error {
	r.mu.Lock()
	r.unwanted = true
	r.mu.Unlock()
	return r.Close(end)
}

// leave gives a recording up. Its file is unlocked, for whoever looks for
// leftovers.
func (r *Recording) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calm()
	r.dir.forget(r)
	if r.cast.file != nil {
		_ = r.cast.file.Close()
		r.dir.left.Store(true)
	}
}

// calm takes a recording out of those that wait for the disk.
func (r *Recording) calm() {
	if r.err != nil {
		r.err = nil
		r.dir.suspended.Add(-1)
	}
}

// finish ends the cast, once all that was accepted is written, and finishes it.
// It says so if it has to wait for the disk.
func (r *Recording) finish(end session.End, said chan<- error) error {
	r.mu.Lock()
	err := r.writeEnd(end, said)
	l, s := r.cast, r.tally.summarize(r.enc.Header(), end.At)
	if r.damage != nil {
		addDetail(&s, r.damage.Error())
	}
	unwanted := r.unwanted
	r.calm()
	r.mu.Unlock()
	r.dir.forget(r)
	switch {
	case l.file == nil:
		return err // there never was one
	case unwanted:
		err = errors.Join(err, r.dir.root.Remove(l.name))
	default:
		err = errors.Join(err, r.dir.finish(l, &s))
	}
	if err != nil {
		r.dir.left.Store(true)
	}
	_ = l.file.Close() // and with it the lock
	return err
}

// writeEnd writes what is left to write, and the end. If the disk doesn't take
// it, it waits until it does or the directory is closed, and then makes the best
// of what is there.
func (r *Recording) writeEnd(end session.End, said chan<- error) error {
	ended, waited := false, false
	for {
		for r.writing || r.making {
			r.settled.Wait()
		}
		if r.err == nil && !ended {
			r.encodeEnd(end)
			ended = true
		}
		if r.err == nil && (!r.pending() || r.fly(nil) == nil) {
			return nil
		}
		if !waited {
			waited = true
			if r.dir.ill.Load() == nil {
				r.retryLocked() // the disk may be back, and nobody has noticed
			}
			if r.err == nil {
				continue
			}
			said <- r.err
		}
		if r.dir.open.Err() != nil {
			return r.salvage(end, ended)
		}
		r.settled.Wait()
	}
}

// encodeEnd encodes what a cast ends with.
func (r *Recording) encodeEnd(end session.End) {
	if r.beyond > 0 {
		r.encode(session.Event{Kind: session.Gap, At: end.At, Lost: &session.Loss{Bytes: r.beyond, Reason: limitReason}})
	}
	r.lines = r.enc.End(r.into(), end)
	r.slot = true
}

// salvage makes the best of a cast that can't be written to its end: what is
// there up to the last whole line is kept, and of the rest the summary says that
// it is missing.
func (r *Recording) salvage(end session.End, ended bool) error {
	cause := r.err
	if r.cast.file == nil {
		return cause
	}
	if !ended {
		if r.lost > 0 {
			r.tally.gaps = append(r.tally.gaps, session.Loss{Bytes: r.lost, Reason: cause.Error()})
		}
		r.encodeEnd(end)
	}
	if err := cutTorn(r.cast.file); err != nil {
		return errors.Join(cause, err)
	}
	kept, err := r.cast.readEvents(r.enc.Header())
	if err != nil {
		return errors.Join(cause, err)
	}
	if missing := r.tally.bytes - kept.tally.bytes; missing > 0 {
		r.tally.gaps = append(r.tally.gaps, session.Loss{Bytes: missing, Reason: cause.Error()})
	}
	r.tally.streams = kept.tally.streams
	_, err = r.cast.file.WriteAt(r.enc.AppendSlot(nil), 0) // which takes no room that it hasn't
	return errors.Join(cause, err)
}
