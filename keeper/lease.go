package keeper

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"go.uber.org/zap"
)

// A lease is renewed after a probe has succeeded, and only then. Without a
// length there is none to renew, and only the probe remains.
type lease struct {
	length time.Duration
	probe  func(context.Context) error
	write  func() error
	log    *zap.Logger

	renewing sync.Mutex // held while it is renewed, lest a probe counts twice

	mu      sync.Mutex // guards what follows
	renewed time.Time  // when it was, last
	err     error      // why it was not renewed the last time
	resting bool       // the rules are another's
	lapses  int
	open    time.Duration // for how long it had lapsed, in all
}

// renewEvery is how often it is renewed.
const renewEvery = time.Second

// probeTime is how long a probe may take. One that is answered late is better
// than none: while very many connections come in, accept is behind.
func (l *lease) probeTime() time.Duration { return max(l.length, renewEvery) }

// keep renews the lease until ctx ends. It calls gone when there is no rule any
// more that the lease could be written to.
func (l *lease) keep(ctx context.Context, gone func()) {
	again := time.NewTicker(renewEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if l.rests() {
			continue
		}
		if err := l.renew(ctx); errors.Is(err, fs.ErrNotExist) {
			gone()
		}
	}
}

// renew makes the rules hold for another length from now on, if a session would
// be served now.
func (l *lease) renew(ctx context.Context) error {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	probing, cancel := context.WithTimeout(ctx, l.probeTime())
	defer cancel()
	err := l.probe(probing)
	before := time.Now() // the kernel's stamp is a little younger
	if err == nil && l.length > 0 {
		err = l.write()
	}
	if ctx.Err() == nil {
		l.note(before, err)
	}
	return err
}

// rest has it renewed no more, until resume.
func (l *lease) rest() {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resting, l.renewed, l.err = true, time.Time{}, nil
}

func (l *lease) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resting = false
}

func (l *lease) rests() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.resting
}

// note notes how renewing it went, and tells what there is to tell.
func (l *lease) note(at time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := time.Since(l.renewed) - l.length
	lapsed := l.length > 0 && !l.renewed.IsZero() && over > 0
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// There are no rules, which whoever looks at them tells.
	case err == nil && lapsed:
		l.lapses++
		l.open += over
		l.log.Warn("lease renewed after it had lapsed: sessions may have passed unrecorded", zap.Duration("for", over))
	case err != nil && l.err == nil && l.length == 0:
		l.log.Error("no session would be served now", zap.Error(err))
	case err != nil && l.err == nil:
		l.log.Error("lease not renewed: new sessions will not be recorded", zap.Duration("within", max(0, -over)), zap.Error(err))
	}
	l.err = err
	if err == nil {
		l.renewed = at
	}
}
