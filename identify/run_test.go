package identify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"exectape/identify"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"
)

// running runs a resolver until the test ends, and returns its log.
func (s *state) running() (*identify.Resolver, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	r := identify.New(s.path, s.tmp, 0, zap.New(core))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	s.t.Cleanup(func() { stop(); <-ended })
	return r, logs
}

// until waits until what holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

func TestAStateDirectoryThatIsMadeLaterIsFound(t *testing.T) {
	s := newState(t)
	s.must(os.RemoveAll(s.path))
	r, logs := s.running()
	until(t, "the log says that there is nothing to see", func() bool { return logs.FilterLevelExact(zap.WarnLevel).Len() == 1 })
	s.container("a", plain)
	until(t, "its container is known", func() bool { return r.Stats().Containers == 1 })
	c := exec(r)
	c.opens(shell.streams()...)
	s.fifos("a", "e1", shell)
	until(t, "the session is known without being asked", func() bool { return c.is() != "" })
	c.want(t, "exact shop/web/a")
}

func TestAStateDirectoryThatIsMadeAnewIsFound(t *testing.T) {
	s := newState(t)
	s.container("a", plain)
	r, _ := s.running()
	until(t, "its container is known", func() bool { return r.Stats().Containers == 1 })
	before := exec(r)
	before.opens(plain.streams()...)
	s.must(os.RemoveAll(s.containers()))
	until(t, "it is gone", func() bool { return r.Stats().Containers == 0 })
	s.container("b", plain)
	until(t, "the other is known", func() bool { return r.Stats().Containers == 1 })
	s.fifos("b", "e1", plain)
	before.shows()
	before.want(t, "unknown") // what it started may have been missed
}

func TestNobodyIsHeldUpByWhoWritesToTheTMPDIRWithoutEnd(t *testing.T) {
	s := newState(t)
	s.container("a", plain)
	r := s.watched(0)
	flooding, stop := context.WithCancel(t.Context())
	var flooders, begun sync.WaitGroup
	for n := range 4 {
		begun.Add(1)
		flooders.Go(func() {
			for i := 0; flooding.Err() == nil; i++ {
				if i == 1000 {
					begun.Done()
				}
				fd, err := unix.Open(filepath.Join(s.tmp, fmt.Sprintf("runc-process%d.%d", n, i%2)), unix.O_WRONLY|unix.O_CREAT, 0o600)
				if err == nil {
					_ = unix.Close(fd)
				}
			}
		})
	}
	begun.Wait()
	caughtUp := make(chan struct{})
	go func() {
		r.CatchUp()
		close(caughtUp)
	}()
	select {
	case <-caughtUp:
	case <-time.After(time.Minute):
		t.Error("it does not return")
	}
	stop()
	flooders.Wait()
	<-caughtUp
}

func TestWhereNoContainersAreKnownProcessesKeepNobodyBusy(t *testing.T) {
	s := newState(t)
	s.must(os.RemoveAll(s.path))
	r, logs := s.running()
	until(t, "the log says that there is nothing to see", func() bool { return logs.FilterLevelExact(zap.WarnLevel).Len() == 1 })
	for range 3 {
		s.must(os.WriteFile(filepath.Join(s.tmp, "anything"), nil, 0o600))
		until(t, "what happened was taken", func() bool {
			unheard, err := r.Unheard()
			s.must(err)
			return unheard == 0
		})
	}
}
