package main

import (
	"encoding/json"
	"io"
	"time"

	"exectape/bench/contender"
)

// A Cell is one contender under one load in one round.
type Cell struct {
	Round     int    `json:"round"`
	Load      string `json:"load"`
	Contender string `json:"contender"`

	Seconds  float64 `json:"seconds"`            // of the load, by the kubelet's clock
	Bytes    int64   `json:"bytes,omitempty"`    // of the container's output, or of stdin
	Sessions int     `json:"sessions,omitempty"` // that were opened
	Lines    int     `json:"lines,omitempty"`    // that were typed and echoed

	CPU         float64 `json:"cpu_seconds"`               // of the contender's process, until it was done with the sessions
	RSS         int64   `json:"rss_kib"`                   // under the load
	IdleRSS     float64 `json:"rss_kib_per_session"`       // what RSS has more than before it, for each session
	Descriptors float64 `json:"descriptors_per_session"`   // likewise
	P50         float64 `json:"p50_us,omitempty"`          // from a key to its echo
	P99         float64 `json:"p99_us,omitempty"`          //
	EarlyRSS    int64   `json:"rss_kib_early,omitempty"`   // after the first thousand of many sessions
	Times       float64 `json:"times_the_table,omitempty"` // how much faster escaping is
	Casts       int     `json:"casts_verified,omitempty"`  // as exact
	Error       string  `json:"error,omitempty"`           // the load failed, or a cast was not exact
}

// print writes the cell as a line.
func (c Cell) print(w io.Writer) error { return json.NewEncoder(w).Encode(c) }

// A meter reads what the kernel says of a contender's process. There is none for
// a contender without one.
type meter struct {
	running *contender.Running
	cpu     time.Duration
	rss     int64
	open    int
}

// begin notes what there is before a load.
func begin(r *contender.Running) (m meter, err error) {
	m.running = r
	if r.Process == nil {
		return m, nil
	}
	if m.cpu, err = r.CPU(); err != nil {
		return m, err
	}
	if m.rss, err = r.RSS(); err != nil {
		return m, err
	}
	m.open, err = r.Descriptors()
	return m, err
}

// spent puts into c how much CPU time the process took since begin.
func (m meter) spent(c *Cell) error {
	now, err := begin(m.running)
	c.CPU = (now.cpu - m.cpu).Seconds()
	return err
}

// held puts into c what the process holds for c.Sessions sessions.
func (m meter) held(c *Cell) error {
	now, err := begin(m.running)
	c.RSS = now.rss >> 10
	c.IdleRSS = float64(now.rss-m.rss) / 1024 / float64(c.Sessions)
	c.Descriptors = float64(now.open-m.open) / float64(c.Sessions)
	return err
}
