package upload

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"go.uber.org/zap"
)

const (
	beat     = time.Second      // how often it is seen what there is to do
	lastTry  = 10 * time.Second // for what is there when the Uploader is to stop
	lookCost = 50               // the directory is read for at most one part in so many of the time
)

// A loop is a running Uploader. All it has belongs to the goroutine of run.
type loop struct {
	*Uploader
	queue   queue
	health  health
	sending map[*waiting]time.Time // since when
	sent    chan delivery
	live    streams
	nextAt  time.Time // to look into the directory
	blind   bool      // the last look failed
	last    bool      // nothing is tried twice any more
}

// A delivery is the try to send one cast, and how it went.
type delivery struct {
	*waiting
	begun mark
	err   error // why the recorder has not acknowledged it
	local error // why it could not be asked, or the directory not be told
}

func newLoop(u *Uploader) *loop {
	return &loop{Uploader: u, sending: map[*waiting]time.Time{}, sent: make(chan delivery), live: newStreams(u)}
}

// run owns the deliveries and streams: it returns when they have ended.
func (l *loop) run(ctx context.Context) {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	streaming, cutStreams := context.WithCancel(work)
	defer cutStreams()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	stopping := ctx.Done()
	for {
		l.look()
		l.begin(work, streaming)
		if l.over(work) {
			break
		}
		select {
		case <-tick.C:
		case d := <-l.sent:
			l.settle(d)
		case s := <-l.live.ended:
			l.live.settle(s)
		case <-stopping:
			stopping, l.last, l.nextAt = nil, true, time.Time{}
			cutStreams()
			time.AfterFunc(lastTry, cut)
		}
	}
	cut()
	for len(l.sending)+l.live.active > 0 {
		select {
		case d := <-l.sent:
			l.settle(d)
		case s := <-l.live.ended:
			l.live.settle(s)
		}
	}
}

// over reports whether a loop that is to stop has done what it could.
func (l *loop) over(work context.Context) bool {
	return l.last && (work.Err() != nil || l.health.ill() || len(l.sending)+l.live.active == 0)
}

// look sees what there is in the directory, unless it did just now.
func (l *loop) look() {
	before := time.Now()
	if before.Before(l.nextAt) {
		return
	}
	spool, err := l.dir.Spool()
	l.nextAt = time.Now().Add(max(beat, lookCost*time.Since(before)))
	if failed := err != nil; failed != l.blind {
		l.blind = failed
		if failed {
			l.log.Error("the directory can't be read: nothing new is sent", zap.Error(err))
		}
	}
	if err != nil {
		return
	}
	l.queue.update(spool.Waiting)
	l.live.update(spool.Live, before)
	l.tell()
}

// tell keeps the backlog in the stats.
func (l *loop) tell() {
	l.count(func(s *Stats) {
		s.BacklogCasts, s.BacklogBytes, s.Down = len(l.queue.all), l.queue.bytes, l.health.down
	})
}

// begin begins what may be begun now.
func (l *loop) begin(work, streaming context.Context) {
	now := time.Now()
	for l.mayBegin(now) {
		w := l.queue.take(now, l.held)
		if w == nil {
			break
		}
		l.sending[w] = now
		begun := l.health.mark()
		go func() { l.sent <- l.deliver(work, w, begun) }()
	}
	if l.config.Live && !l.last && !l.health.ill() {
		l.live.begin(streaming, now)
	}
}

// held reports whether a cast may not be sent now. What is left of its live
// stream would be taken for the newer one.
func (l *loop) held(w *waiting) bool {
	return l.last && w.tries > 0 || l.live.has(w.Stem)
}

// mayBegin reports whether one more cast may be sent. One that is being sent
// for long gets on, and so does not make an ill recorder's next probe wait.
func (l *loop) mayBegin(now time.Time) bool {
	if len(l.sending) == workers || l.health.rests(now) || l.last && l.health.ill() {
		return false
	}
	if l.health.ill() {
		for _, since := range l.sending {
			if now.Sub(since) < 2*stall {
				return false
			}
		}
	}
	return true
}

// settle takes what became of a delivery.
func (l *loop) settle(d delivery) {
	now := time.Now()
	delete(l.sending, d.waiting)
	defer l.tell()
	log := l.log.With(zap.String("cast", d.name()))
	var refused refusal
	switch {
	case errors.Is(d.local, fs.ErrNotExist): // it was removed, or belongs to the past
		l.queue.drop(d.waiting)
	case d.local != nil:
		log.Error("the directory fails a cast that is to be sent", zap.Error(d.local))
		l.queue.putBack(d.waiting, now)
	case errors.As(d.err, &refused):
		log.Warn("the recorder refused a cast: it is not sent again", zap.Error(d.err), zap.String("until_removed", d.Stem+".refused"))
		l.count(func(s *Stats) { s.Refused++ })
		l.queue.drop(d.waiting)
	case d.err != nil:
		l.queue.putBack(d.waiting, now)
		l.failed(d, now)
	default:
		log.Debug("cast sent", zap.Int64("bytes", d.Size))
		l.count(func(s *Stats) { s.Sent++; s.LastSuccess = now })
		l.queue.drop(d.waiting)
		l.succeeded()
	}
}

func (l *loop) failed(d delivery, now time.Time) {
	if errors.Is(d.err, context.Canceled) { // by us
		return
	}
	l.count(func(s *Stats) { s.Retried++ })
	l.log.Debug("cast not sent, to be tried again", zap.String("cast", d.name()), zap.Int("tries", d.tries), zap.Error(d.err))
	if l.health.failed(d.begun, d.err, now) {
		l.log.Warn("recorder down: casts wait in the directory", zap.String("recorder", l.config.URL.Host), zap.Error(d.err))
	}
}

func (l *loop) succeeded() {
	if l.health.succeeded() {
		l.log.Info("recorder back", zap.String("recorder", l.config.URL.Host), zap.Int("casts_waiting", len(l.queue.all)))
		l.queue.hurry()
	}
}
