package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"exectape/admin"
	"exectape/intercept"
	"exectape/iptables"
	"exectape/sink"
	"exectape/upload"
)

// A node has what there is to tell of a running exectape.
type node struct {
	server   *intercept.Server
	dir      *sink.Dir
	uploader *upload.Uploader                 // nil: nothing is sent
	tables   *atomic.Pointer[iptables.Tables] // nil: no rules are in place
}

func newAdmin(cfg config, n node, log *zap.Logger) *admin.Server {
	return admin.NewServer(n.metrics(cfg), n.checks(cfg), n.server.Sessions, log)
}

// checks are what must be so for exectape to be ready.
func (n node) checks(cfg config) []admin.Check {
	all := []admin.Check{
		{Name: "listener", Err: n.server.Accepting},
		{Name: "sink", Err: n.dir.Writable},
		{Name: "targets", Err: func() error {
			if len(n.server.Targets) == 0 {
				return errors.New("none is known")
			}
			return nil
		}},
	}
	if cfg.IPTables != iptables.Off {
		all = append(all, admin.Check{Name: "rules", Err: func() error { return n.rules(cfg) }})
	}
	return all
}

// rules returns what is wrong with the rules.
func (n node) rules(cfg config) error {
	tables := n.tables.Load()
	if tables == nil {
		return errors.New("they are not in place yet")
	}
	problems, err := tables.Check(context.Background(), redirect(cfg))
	errs := []error{err}
	for _, p := range problems {
		errs = append(errs, errors.New(string(p)))
	}
	return errors.Join(errs...)
}

// metrics are what /metrics has beside what it has of the process.
func (n node) metrics(cfg config) *admin.Metrics {
	m := admin.NewMetrics(map[string]string{
		"version": buildVersion(), "goversion": runtime.Version(), "node": nodeName(cfg),
	})
	m.Gauge("sessions_active", "Sessions that go on, recorded or not.", func() float64 { return float64(len(n.server.Sessions())) })
	m.Gauge("targets", "Streaming servers that are known.", func() float64 { return float64(len(n.server.Targets)) })
	m.Counter("tls_connections_total", "Connections over TLS, which can't be recorded.", func() float64 {
		total := 0
		for _, n := range n.server.OverTLS() {
			total += n
		}
		return float64(total)
	})
	if n.uploader != nil {
		n.uploads(m)
	}
	return m
}

func (n node) uploads(m *admin.Metrics) {
	gauge := func(name, help string, value func(upload.Stats) float64) {
		m.Gauge(name, help, func() float64 { return value(n.uploader.Stats()) })
	}
	gauge("upload_backlog_bytes", "Finished casts that the recorder has not acknowledged: their size.",
		func(s upload.Stats) float64 { return float64(s.BacklogBytes) })
	gauge("upload_backlog_casts", "Finished casts that the recorder has not acknowledged.",
		func(s upload.Stats) float64 { return float64(s.BacklogCasts) })
	gauge("upload_recorder_up", "0 while the recorder takes nothing, else 1.", func(s upload.Stats) float64 {
		if s.Down {
			return 0
		}
		return 1
	})
	gauge("upload_last_success_timestamp_seconds", "When the recorder last acknowledged a cast; 0: not since exectape was started.",
		func(s upload.Stats) float64 {
			if s.LastSuccess.IsZero() {
				return 0
			}
			return float64(s.LastSuccess.UnixNano()) / float64(time.Second)
		})
	m.Counters("uploads_total", "Casts that were sent, will be sent again, or were refused for good.", "result", func() map[string]int64 {
		s := n.uploader.Stats()
		return map[string]int64{"sent": s.Sent, "retried": s.Retried, "refused": s.Refused}
	})
}

// nodeName is what this node is called.
func nodeName(cfg config) string {
	host, _ := os.Hostname() // "" is said where it can't be had
	return cmp.Or(cfg.NodeName, host)
}
