package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"exectape/bench/contender"
	"exectape/bench/content"
	"exectape/bench/hand"
	"exectape/bench/kube"
)

// A load is what a contender is put under. Its run fills in a cell.
type load struct {
	name string
	run  func(ctx context.Context, s scene, c *Cell) error
	want content.Kind // what each cast has, if it is always the same
}

// A scene is a contender that runs, and the runtime behind it.
type scene struct {
	runtime *playedRuntime
	way     *contender.Running
	dir     string // for files
}

// open begins a session that is played by hand.
func (s scene) open(p hand.Protocol, work hand.Work, check *content.Check) (*hand.Client, error) {
	conn, err := s.way.Dial(s.runtime.Streaming)
	if err != nil {
		return nil, err
	}
	return hand.Open(conn, p, work, check)
}

// download has so many sessions at once, each with so many bytes of a kind.
func download(name string, p hand.Protocol, k content.Kind, sessions int, bytes int64) load {
	return load{name: name, want: k, run: func(_ context.Context, s scene, c *Cell) error {
		c.Sessions = sessions
		checks := make([]*content.Check, sessions)
		for i := range checks {
			checks[i] = content.NewCheck(k)
		}
		err := timed(c, s, func() error {
			return atOnce(sessions, func(i int) error {
				client, err := s.open(p, hand.Work{Do: string(k), Bytes: bytes}, checks[i])
				if err != nil {
					return err
				}
				return client.Wait()
			})
		})
		if err != nil {
			return err
		}
		for _, check := range checks {
			c.Bytes += check.Bytes
			if check.Wrong || check.Bytes < bytes {
				return errors.New("the kubelet got other bytes than the runtime sent")
			}
		}
		return nil
	}}
}

// printing has a session print so many bytes of a kind. The ends are Kubernetes'
// own, which are busier than any proxy, and are what there is on a node.
func printing(name string, k content.Kind, bytes int64) load {
	return load{name: name, want: k, run: func(ctx context.Context, s scene, c *Cell) error {
		c.Sessions = 1
		urls, err := s.runtime.exec(ctx, kube.Print(k, bytes), 1)
		if err != nil {
			return err
		}
		u, proxy := s.way.Lead(urls[0])
		check := content.NewCheck(k)
		if err := timed(c, s, func() error { return kube.Run(ctx, u, proxy, nil, check) }); err != nil {
			return err
		}
		if c.Bytes = check.Bytes; check.Wrong || check.Bytes < bytes {
			return errors.New("the kubelet got other bytes than the runtime sent")
		}
		return nil
	}}
}

// upload sends so many bytes to stdin.
func upload(bytes int64) load {
	return load{name: "upload", run: func(_ context.Context, s scene, c *Cell) error {
		c.Sessions, c.Bytes = 1, bytes
		return timed(c, s, func() error {
			client, err := s.open(hand.SPDY, hand.Work{Do: hand.Upload}, nil)
			if err != nil {
				return err
			}
			return client.Upload(bytes)
		})
	}}
}

// timed runs do and says how long it took, and what it cost.
func timed(c *Cell, s scene, do func() error) error {
	m, err := begin(s.way)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := do(); err != nil {
		return err
	}
	c.Seconds = time.Since(start).Seconds()
	if err := finished(s.way, c.Sessions); err != nil {
		return err
	}
	return m.spent(c)
}

// atOnce runs do n times at once.
func atOnce(n int, do func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// echo types a byte, waits for its echo, and types the next. The ends are
// Kubernetes' own.
func echo(times int) load {
	return load{name: "echo", run: func(ctx context.Context, s scene, c *Cell) error {
		c.Sessions, c.Lines = 1, times
		urls, err := s.runtime.exec(ctx, kube.Echo, 1)
		if err != nil {
			return err
		}
		u, proxy := s.way.Lead(urls[0])
		keyboard, typing := io.Pipe()
		screen := make(echoes, 1)
		ended := make(chan error, 1)
		var waited []time.Duration
		return timed(c, s, func() error {
			go func() {
				err := kube.Run(ctx, u, proxy, keyboard, screen)
				_ = keyboard.CloseWithError(errors.Join(io.ErrUnexpectedEOF, err))
				ended <- err
			}()
			for i := range times + warmUp {
				at := time.Now()
				if _, err := typing.Write([]byte{'a'}); err != nil {
					return err
				}
				select {
				case <-screen:
				case err := <-ended:
					return errors.Join(io.ErrUnexpectedEOF, err)
				}
				if i >= warmUp {
					waited = append(waited, time.Since(at))
				}
			}
			_ = typing.Close()
			err := <-ended
			percentiles(c, waited)
			return err
		})
	}}
}

// warmUp is how many echoes are not counted: the first have streams to open
// before them.
const warmUp = 50

// echoes is where a session's output goes, byte by byte.
type echoes chan struct{}

// Write implements [io.Writer].
func (e echoes) Write(p []byte) (int, error) {
	e <- struct{}{}
	return len(p), nil
}

func percentiles(c *Cell, waited []time.Duration) {
	slices.Sort(waited)
	micros := func(i int) float64 { return float64(waited[i].Nanoseconds()) / 1e3 }
	c.P50, c.P99 = micros(len(waited)/2), micros(len(waited)*99/100)
}

// echoByHand is echo over WebSocket, with ends that are played.
func echoByHand(times int) load {
	return load{name: "echo, WebSocket", run: func(_ context.Context, s scene, c *Cell) error {
		c.Sessions, c.Lines = 1, times
		var waited []time.Duration
		return timed(c, s, func() error {
			client, err := s.open(hand.WebSocket, hand.Work{Do: hand.Echo}, nil)
			if err != nil {
				return err
			}
			for i := range times + warmUp {
				at := time.Now()
				if err := client.Type([]byte{'a'}); err != nil {
					return err
				}
				if i >= warmUp {
					waited = append(waited, time.Since(at))
				}
			}
			percentiles(c, waited)
			return client.End()
		})
	}}
}

// setUp runs so many sessions that say a line, a few at once. The ends are
// Kubernetes' own.
func setUp(sessions int) load {
	return load{name: "set-up", run: func(ctx context.Context, s scene, c *Cell) error {
		c.Sessions = sessions
		urls, err := s.runtime.exec(ctx, kube.Exit, sessions)
		if err != nil {
			return err
		}
		return timed(c, s, func() error {
			const workers = 4
			return atOnce(workers, func(worker int) error {
				for i := worker; i < sessions; i += workers {
					u, proxy := s.way.Lead(urls[i])
					var said strings.Builder
					if err := kube.Run(ctx, u, proxy, nil, &said); err != nil {
						return err
					}
					if said.String() != "total 0\n" {
						return fmt.Errorf("the command said %q", said.String())
					}
				}
				return nil
			})
		})
	}}
}
