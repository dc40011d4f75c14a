package upload

import (
	"context"
	"errors"
	"io"

	"exectape/sink"
)

// name returns the name of the cast.
func (w *waiting) name() string { return sink.CastName(w.Stem) }

// deliver tries to send one cast and its summary, and to have the directory say
// what became of that.
func (u *Uploader) deliver(ctx context.Context, w *waiting, begun mark) delivery {
	d := delivery{waiting: w, begun: begun}
	release, err := u.dir.Hold(w.Stem) // who has half of it shall have the rest
	if err != nil {
		d.local = err
		return d
	}
	defer release()
	if !w.sent {
		if d.local = u.dir.Settle(w.Stem); d.local == nil {
			d.local, d.err = u.send(ctx, w)
		}
	}
	var refused refusal
	switch {
	case d.local != nil:
	case errors.As(d.err, &refused):
		d.local = u.dir.Refuse(w.Stem, refused.note())
	case d.err == nil:
		w.sent = true
		d.local = u.dir.Acknowledge(w.Stem)
	}
	return d
}

// send sends a cast and then its summary: who has the summary has it all.
func (u *Uploader) send(ctx context.Context, w *waiting) (local, err error) {
	if local, err = u.sendFile(ctx, w.name(), func(size int64, body source) upload { return u.config.cast(w.Stem, size, body) }); local != nil || err != nil {
		return local, err
	}
	return u.sendFile(ctx, sink.SummaryName(w.Stem), func(size int64, body source) upload {
		return upload{sink.SummaryName(w.Stem), "application/json", size, body}
	})
}

func (u *Uploader) sendFile(ctx context.Context, name string, as func(int64, source) upload) (local, err error) {
	file, err := u.dir.OpenFile(name)
	if err != nil {
		return err, nil
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err, nil
	}
	return nil, u.client.put(ctx, as(info.Size(), func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(file, 0, info.Size())), nil
	}))
}
