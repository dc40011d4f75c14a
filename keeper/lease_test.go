package keeper

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A kernel takes leases, and a service is probed. Each can fail.
type kernel struct {
	probeErr, writeErr error
	probes, writes     int
	slow               time.Duration // what a probe takes
}

func (k *kernel) lease(length time.Duration) (*lease, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return &lease{
		length: length,
		log:    zap.New(core),
		probe: func(ctx context.Context) error {
			k.probes++
			select {
			case <-time.After(k.slow):
				return k.probeErr
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		write: func() error { k.writes++; return k.writeErr },
	}, logs
}

// keeping keeps a lease for a time, and reports how often there was no list.
func keeping(l *lease, d time.Duration) (gone int) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	l.keep(ctx, func() { gone++ })
	return gone
}

func TestALeaseIsRenewedEverySecondAfterAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(kernel)
		l, logs := k.lease(3 * time.Second)
		keeping(l, 10*time.Second+time.Millisecond)
		if k.probes != 10 || k.writes != 10 {
			t.Errorf("in ten seconds there were %d probes and %d writes", k.probes, k.writes)
		}
		if logs.Len() > 0 {
			t.Errorf("and it was told: %v", logs.All())
		}
	})
}

func TestALeaseIsNotRenewedWithoutAProbeThatSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{probeErr: errors.New("nobody accepts")}
		l, logs := k.lease(3 * time.Second)
		keeping(l, 10*time.Second)
		if k.writes > 0 {
			t.Errorf("it was written %d times", k.writes)
		}
		if n := logs.FilterMessage("lease not renewed: new sessions will not be recorded").Len(); n != 1 {
			t.Errorf("it was told %d times, want once", n)
		}
		k.probeErr, k.slow = nil, time.Minute
		keeping(l, 10*time.Second)
		if k.writes > 0 {
			t.Errorf("with probes that are not answered it was written %d times", k.writes)
		}
	})
}

func TestALeaseThatHasLapsedIsToldWhenItIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(kernel)
		l, logs := k.lease(3 * time.Second)
		keeping(l, 1500*time.Millisecond) // renewed after a second
		time.Sleep(9 * time.Second)       // as if stopped: from 1.5 s to 10.5 s
		keeping(l, 5*time.Second)         // renewed again from 11.5 s on
		told := logs.FilterMessage("lease renewed after it had lapsed: sessions may have passed unrecorded").All()
		if len(told) != 1 {
			t.Fatalf("it was told %d times, want once", len(told))
		}
		if got, want := told[0].ContextMap()["for"], 7500*time.Millisecond; got != want {
			t.Errorf("it is said to have lapsed for %v, want %v", got, want)
		}
		if l.lapses != 1 || l.open != 7500*time.Millisecond {
			t.Errorf("counted are %d lapses of %v in all", l.lapses, l.open)
		}
	})
}

func TestALeaseThatHasNoListAnyMoreIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{writeErr: fs.ErrNotExist}
		l, _ := k.lease(3 * time.Second)
		if gone := keeping(l, 3500*time.Millisecond); gone != 3 {
			t.Errorf("it was reported %d times, want every second", gone)
		}
	})
}

func TestWithoutALeaseTheProbeAloneIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(kernel)
		l, logs := k.lease(0)
		keeping(l, 3500*time.Millisecond)
		k.probeErr = errors.New("nobody accepts")
		keeping(l, 3500*time.Millisecond)
		if k.probes != 6 || k.writes > 0 {
			t.Errorf("there were %d probes and %d writes", k.probes, k.writes)
		}
		if n := logs.FilterMessage("no session would be served now").Len(); n != 1 || logs.Len() != 1 {
			t.Errorf("it was told %d times, want once: %v", n, logs.All())
		}
	})
}
