package sink

import (
	"errors"
	"fmt"
	"time"

	"exectape/session"
)

// maxOpening is how many casts are being made at once.
const maxOpening = 128

// Open begins the recording of a session. When it returns, the cast is there.
//
// With an error it is not. Then, unless no session may go on that can't be
// recorded, there is a Recorder all the same: it begins when the disk is back.
func (d *Dir) Open(info session.Info) (session.Recorder, error) {
	if d.room.full.Load() {
		return nil, errFull
	}
	r := newRecording(d, info)
	err := d.begin(r)
	if err != nil {
		err = fmt.Errorf("begin a cast: %w", err)
	}
	if err != nil && d.options.Policy == session.FailClosed {
		d.stats.failures.Add(1)
		return nil, err
	}
	d.keep(r)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.suspend(err)
	}
	return r, err
}

// begin makes a recording's file and writes its beginning, unless that takes
// too long.
func (d *Dir) begin(r *Recording) error {
	if ill := d.ill.Load(); ill != nil {
		return ill
	}
	late := time.NewTimer(d.options.Timeout)
	defer late.Stop()
	select {
	case d.opening <- struct{}{}:
	case <-late.C: // those before it hang, or there are very many
		return d.hangs("wait for the beginnings of others")
	}
	begun := make(chan error, 1)
	d.working.Go(func() {
		begun <- r.first()
		<-d.opening
	})
	select {
	case err := <-begun:
		return err
	case <-late.C:
	}
	if !r.giveUp() {
		return <-begun
	}
	err := d.hangs("make " + r.cast.name)
	d.trip(err)
	return err
}

// first makes the file of a cast and writes its beginning. If nobody wants it
// any more, or no session begins without a cast, what can't be begun is
// removed.
func (r *Recording) first() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.make()
	if err == nil && !r.late {
		err = r.fly(nil)
	}
	r.begun = true
	if r.dir.options.Policy == session.FailClosed && (r.late || err != nil) {
		r.calm()
		if r.cast.file != nil {
			err = errors.Join(err, r.dir.remove(r.cast.name), r.cast.file.Close())
		}
	}
	return err
}

// giveUp reports that nobody waits for first any more, unless that has ended.
func (r *Recording) giveUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = !r.begun
	return r.late
}

// make makes the file of a cast. The lock is given up meanwhile.
func (r *Recording) make() error {
	r.making = true
	r.mu.Unlock()
	file, err := r.dir.create(r.cast.name)
	r.mu.Lock()
	r.making = false
	r.settled.Broadcast()
	if err == nil {
		r.cast.file = file
	}
	return err
}

// keep has a recording watched, until forget.
func (d *Dir) keep(r *Recording) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live[r] = struct{}{}
}

func (d *Dir) forget(r *Recording) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.live, r)
}
