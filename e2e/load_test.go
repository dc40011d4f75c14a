package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"exectape/e2e/kubelet"
	"exectape/e2e/local"
)

// A load is sessions that begin one after the other, each of which says its
// number. Where the machine does not keep up, fewer begin: no more than atOnce go
// on at a time.
type load struct {
	t       *testing.T
	runtime *local.Server
	stop    context.CancelFunc
	begun   chan int
	running sync.WaitGroup
}

const atOnce = 20

func beginLoad(t *testing.T, runtime *local.Server, every time.Duration) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{t: t, runtime: runtime, stop: stop, begun: make(chan int, 1)}
	go func() {
		again := time.NewTicker(every)
		defer again.Stop()
		places := make(chan struct{}, atOnce)
		for n := 0; ; n++ {
			select {
			case <-again.C:
			case <-ctx.Done():
				l.begun <- n
				return
			}
			places <- struct{}{}
			l.running.Go(func() {
				defer func() { <-places }()
				l.session(n)
			})
		}
	}()
	return l
}

// end begins no more, waits for those that began, and returns how many did.
func (l *load) end() int {
	l.stop()
	n := <-l.begun
	l.running.Wait()
	return n
}

func saying(n int) string { return fmt.Sprintf("session %d", n) }

func (l *load) session(n int) {
	ctx := context.WithoutCancel(l.t.Context())
	echo := kubelet.Process{Command: []string{"printf", "%s", saying(n)}}
	at, err := l.runtime.Exec(ctx, echo)
	if err != nil {
		l.t.Errorf("session %d: %v", n, err)
		return
	}
	s := direct.Open(ctx, at, echo)
	if err := s.Wait(); err != nil || string(s.Stdout.Bytes()) != saying(n) {
		l.t.Errorf("session %d: %v, %q", n, err, s.Stdout.Bytes())
	}
}
