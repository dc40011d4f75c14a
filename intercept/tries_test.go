package intercept

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestAProbeThatWasGivenUpIsNoStranger(t *testing.T) {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	s := &Server{HeadTimeout: time.Minute, Log: zap.New(core), Noise: zap.New(core)}
	s.redirects = append(s.redirects, ln.Addr().(*net.TCPAddr).AddrPort())
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Probe(soon); err == nil {
		t.Error("nobody accepts, and the probe succeeds")
	}
	served := make(chan error, 1)
	go func() { served <- s.accept(ln, s.redirected) }()
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	s.Shutdown(t.Context(), "the test is over")
	if err := <-served; err != nil {
		t.Error(err)
	}
	if refused := logs.FilterMessage("connection refused").All(); len(refused) > 0 {
		t.Errorf("probes are refused as strangers: %v", refused)
	}
}

func TestAProbeThatIsAnsweredLateHasBeenAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		const busy = 2 * time.Second
		begun := time.Now()
		err := firstAnswer(ctx, func(ctx context.Context) error {
			select {
			case <-time.After(busy):
				return nil
			case <-ctx.Done():
				return errNotAccepted
			}
		})
		if took := time.Since(begun); err != nil || took != busy {
			t.Errorf("where accept is %v behind, a probe that may take 3s ends after %v: %v", busy, took, err)
		}
	})
}

func TestAProbeThatIsLostIsOvertakenByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		err := firstAnswer(t.Context(), func(ctx context.Context) error {
			if tries.Add(1) == 1 {
				<-ctx.Done()
				return errNotAccepted
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
