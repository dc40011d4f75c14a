package upload

import (
	"context"
	"errors"
	"io"
	"time"

	"exectape/sink"

	"go.uber.org/zap"
)

const (
	maxLive   = 32                     // casts that are streamed at once; the others come when they are finished
	liveTries = 5                      // for each: what fails so often is better sent once, whole
	liveDelay = 2 * time.Second        // until it is known which container a session belongs to
	liveBeat  = 500 * time.Millisecond // how often a live cast is looked at
)

// streams are the casts that are sent while they are live.
type streams struct {
	*Uploader
	all    map[string]*stream // by key
	active int
	ended  chan ending
}

// A stream is one of them.
type stream struct {
	stem   string // of the live cast, which is its key
	tries  int
	due    time.Time
	active bool
}

// An ending is how a stream has ended.
type ending struct {
	*stream
	err error
}

func newStreams(u *Uploader) streams {
	return streams{Uploader: u, all: map[string]*stream{}, ended: make(chan ending)}
}

// has reports whether the cast of that stem is being streamed.
func (s *streams) has(stem string) bool {
	one := s.all[sink.Key(stem)]
	return one != nil && one.active
}

// update makes them what the directory says.
func (s *streams) update(live []string, now time.Time) {
	if !s.config.Live {
		return
	}
	there := make(map[string]bool, len(live))
	for _, stem := range live {
		there[stem] = true
		if s.all[stem] == nil {
			s.all[stem] = &stream{stem: stem, due: now.Add(liveDelay)}
		}
	}
	for stem, one := range s.all {
		if !one.active && !there[stem] {
			delete(s.all, stem)
		}
	}
}

// begin begins those that are due. They go on until their casts are finished,
// or work ends.
func (s *streams) begin(work context.Context, now time.Time) {
	for _, one := range s.all {
		if s.active == maxLive {
			return
		}
		if one.active || one.tries == liveTries || one.due.After(now) {
			continue
		}
		one.active = true
		s.active++
		go func() { s.ended <- ending{one, s.stream(work, one.stem)} }()
	}
}

// settle takes an ending. One that fails does not count against the recorder:
// not every server likes a body that comes slowly.
func (s *streams) settle(e ending) {
	s.active--
	e.active = false
	if e.err == nil {
		e.tries = liveTries // its cast is finished, or the recorder wants no more
		return
	}
	e.due = time.Now().Add(backoff(2*e.tries, castPause))
	e.tries++
	if errors.As(e.err, new(refusal)) {
		e.tries = liveTries
	}
	s.log.Debug("live cast no longer sent", zap.String("cast", sink.CastName(e.stem)), zap.Int("tries", e.tries), zap.Error(e.err))
}

// stream sends a live cast as it grows, under the name that it will have. If it
// is to have another one after all, the upload ends as if it had been cut off.
func (s *streams) stream(ctx context.Context, stem string) error {
	live, err := s.dir.OpenLive(stem)
	if err != nil {
		return err
	}
	defer func() { _ = live.Close() }()
	once := func() (io.ReadCloser, error) { return live, nil }
	return s.client.put(ctx, s.config.cast(live.Stem(), unknown, once))
}
