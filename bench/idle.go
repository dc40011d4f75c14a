package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"exectape/bench/contender"
	"exectape/bench/hand"
)

// settle is how long a contender has to let go of what it took to open sessions.
const settle = 2 * time.Second

// idle opens so many sessions and looks at what they hold. Then, for some
// seconds, each has a line typed and echoed once a second.
func idle(sessions int, seconds int) load {
	return load{name: fmt.Sprintf("idle %d", sessions), run: func(_ context.Context, s scene, c *Cell) (err error) {
		c.Sessions = sessions
		m, err := begin(s.way)
		if err != nil {
			return err
		}
		clients := make([]*hand.Client, sessions)
		const workers = 8
		err = atOnce(workers, func(worker int) error {
			for i := worker; i < sessions; i += workers {
				if clients[i], err = s.open(hand.SPDY, hand.Work{Do: hand.Echo}, nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		time.Sleep(settle)
		if err := m.held(c); err != nil {
			return err
		}
		if err := lines(s, c, clients, seconds); err != nil {
			return err
		}
		err = atOnce(workers, func(worker int) error {
			for i := worker; i < sessions; i += workers {
				if err := clients[i].End(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return finished(s.way, sessions)
	}}
}

// lines types the lines, evenly over each second.
func lines(s scene, c *Cell, clients []*hand.Client, seconds int) error {
	if seconds == 0 {
		return nil
	}
	m, err := begin(s.way)
	if err != nil {
		return err
	}
	start := time.Now()
	gap := time.Second / time.Duration(len(clients))
	for i := range seconds * len(clients) {
		time.Sleep(time.Until(start.Add(time.Duration(i) * gap)))
		if err := clients[i%len(clients)].Type([]byte("make test\r\n")); err != nil {
			return err
		}
		c.Lines++
	}
	c.Seconds = time.Since(start).Seconds()
	return m.spent(c)
}

// churn runs a great many short sessions, looks at the memory after the first
// thousand and after the last, and clears away what was recorded.
func churn(sessions int) load {
	return load{name: "churn", run: func(_ context.Context, s scene, c *Cell) error {
		m, err := begin(s.way)
		if err != nil {
			return err
		}
		start := time.Now()
		for _, n := range []int{1000, sessions - 1000} {
			if err := short(s, c, n); err != nil {
				return err
			}
			time.Sleep(settle)
			rss, err := s.way.RSS()
			if err != nil {
				return err
			}
			c.RSS = rss >> 10
			if c.EarlyRSS == 0 {
				c.EarlyRSS = c.RSS
			}
		}
		c.Seconds = time.Since(start).Seconds()
		return m.spent(c)
	}}
}

// short runs n sessions that only exit, in batches of which the casts are
// verified and removed.
func short(s scene, c *Cell, n int) error {
	const batch = 1000
	for left := n; left > 0; left -= batch {
		size := min(batch, left)
		workers := 4 * runtime.NumCPU()
		err := atOnce(workers, func(worker int) error {
			for i := worker; i < size; i += workers {
				client, err := s.open(hand.SPDY, hand.Work{Do: hand.Exit}, nil)
				if err != nil {
					return err
				}
				if err := client.Wait(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := finished(s.way, size); err != nil {
			return err
		}
		c.Sessions += size
		if err := verify(s.way.Casts, "", c, size); err != nil {
			return err
		}
		if err := removeAll(s.way.Casts); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes all files in a directory.
func removeAll(dir string) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range all {
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// finished waits until a contender has nothing left to do with n sessions.
func finished(r *contender.Running, n int) error {
	if r.Casts == "" {
		return nil
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		summaries, err := filepath.Glob(filepath.Join(r.Casts, "*.json"))
		if err != nil {
			return err
		}
		if len(summaries) == n {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("of %d casts only %d were finished", n, len(summaries))
		}
		time.Sleep(5 * time.Millisecond)
	}
}
