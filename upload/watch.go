package upload

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// stall is how long an upload may take to get leastStep further, or to be
	// answered. There is no bound to the whole: casts can be large.
	stall     = time.Minute
	leastStep = 64 << 10
)

var errStalled = errors.New("the recorder is too slow: it took less than 64 KiB in a minute, or did not answer")

// A watch ends an upload that does not get on.
type watch struct {
	ctx context.Context // of the upload; it ends when that stalls
	cut context.CancelCauseFunc

	mu    sync.Mutex // guards what follows: a body is read by a goroutine of the transport's
	timer *time.Timer
	step  int  // bytes since the timer was set
	all   bool // of the body was taken
}

func newWatch(ctx context.Context) *watch {
	ctx, cut := context.WithCancelCause(ctx)
	return &watch{ctx: ctx, cut: cut, timer: time.AfterFunc(stall, func() { cut(errStalled) })}
}

// over ends the upload.
func (w *watch) over() {
	w.timer.Stop()
	w.cut(nil)
}

// moved says that n more bytes were taken.
func (w *watch) moved(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.step += n; w.step >= leastStep {
		w.set()
	}
}

// anew gives the recorder its time again.
func (w *watch) anew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set()
}

func (w *watch) set() {
	w.step = 0
	w.timer.Reset(stall)
}

// rest waits for more to send, which is not the recorder's fault.
func (w *watch) rest() error {
	w.timer.Stop()
	defer w.anew()
	select {
	case <-time.After(liveBeat):
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// took says whether all of the body was taken. An answer may come before.
func (w *watch) took(all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = all
}

func (w *watch) tookAll() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// A watched is a body whose reading is watched.
type watched struct {
	io.ReadCloser       // which may have nothing now
	left          int64 // or unknown
	watch         *watch
}

// watched begins to watch a body, which may be another one than before.
func (w *watch) watched(body io.ReadCloser, size int64) *watched {
	w.took(false)
	return &watched{body, size, w}
}

func (r *watched) Read(p []byte) (int, error) {
	for {
		n, err := r.ReadCloser.Read(p)
		if r.left != unknown {
			r.left -= int64(n)
		}
		if r.left == 0 || errors.Is(err, io.EOF) {
			r.watch.took(true)
		}
		switch {
		case err != nil: // what follows is the answer
			r.watch.anew()
			return n, err
		case n > 0:
			r.watch.moved(n)
			return n, nil
		}
		if err := r.watch.rest(); err != nil {
			return 0, err
		}
	}
}
