package main

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"

	"exectape/admin"
	"exectape/intercept"
	"exectape/keeper"
	"exectape/sink"
	"exectape/upload"
)

// A node has what there is to tell of a running exectape.
type node struct {
	server   *intercept.Server
	dir      *sink.Dir
	uploader *upload.Uploader // nil: nothing is sent
	rules    *keeper.Keeper   // nil: there are to be no rules
}

func newAdmin(cfg config, n node, log *zap.Logger) *admin.Server {
	return admin.NewServer(n.metrics(cfg), n.checks(), n.server.Sessions, log)
}

// checks are what must be so for exectape to be ready.
func (n node) checks() []admin.Check {
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
	if n.rules != nil {
		all = append(all,
			admin.Check{Name: "rules", Err: func() error { return n.rules.Status().Rules() }},
			admin.Check{Name: "lease", Err: func() error { return n.rules.Status().Lease() }})
	}
	return all
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
	m.Counters("unrecorded_bytes_total", "Bytes of sessions that were not recorded, which their casts say, too.", "reason", n.dir.Unrecorded)
	if n.rules != nil {
		n.redirection(m)
	}
	if n.uploader != nil {
		n.uploads(m)
	}
	return m
}

func (n node) redirection(m *admin.Metrics) {
	status := func(value func(keeper.Status) float64) func() float64 {
		return func() float64 { return value(n.rules.Status()) }
	}
	m.Gauge("rules_present", "1 if the iptables rules are as they should be, as far as is known, else 0.", status(func(s keeper.Status) float64 {
		if s.Rules() != nil {
			return 0
		}
		return 1
	}))
	m.Gauge("lease_age_seconds", "How long ago a probe through our own listener succeeded, and with it the lease was renewed.", status(func(s keeper.Status) float64 {
		return s.Age.Seconds()
	}))
	m.Counter("rules_repairs_total", "How often the rules were put right.", status(func(s keeper.Status) float64 { return float64(s.Repairs) }))
	m.Counter("lease_lapses_total", "How often the lease had lapsed when it was renewed.", status(func(s keeper.Status) float64 { return float64(s.Lapses) }))
	m.Counter("unguarded_seconds_total", "For how long sessions may have passed unrecorded, because rules were missing or the lease had lapsed.", status(func(s keeper.Status) float64 {
		return s.Open.Seconds()
	}))
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
