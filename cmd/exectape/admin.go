package main

import (
	"cmp"
	"maps"
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"

	"exectape/admin"
	"exectape/identify"
	"exectape/intercept"
	"exectape/keeper"
	"exectape/session"
	"exectape/sink"
	"exectape/targets"
	"exectape/upload"
)

// A node has what there is to tell of a running exectape.
type node struct {
	server   *intercept.Server
	targets  *targets.Set
	dir      *sink.Dir
	uploader *upload.Uploader // nil: nothing is sent
	rules    *keeper.Keeper   // nil: there are to be no rules
	resolver *identify.Resolver
}

// newAdmin returns what answers for n, whose server has not begun yet.
func newAdmin(cfg config, n node, log *zap.Logger) *admin.Server {
	metrics := n.metrics(cfg)
	n.server.Ended = func(s session.Summary) { countSession(metrics, s) }
	return admin.NewServer(metrics, n.checks(), n.server.Sessions, log)
}

// checks are what must be so for exectape to be ready.
func (n node) checks() []admin.Check {
	all := []admin.Check{
		{Name: "listener", Err: n.server.Accepting},
		{Name: "sink", Err: n.dir.Writable},
		{Name: "targets", Err: n.targets.Err},
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
	m.Gauge("sessions_active", "Sessions that go on, but for those beyond EXECTAPE_MAX_SESSIONS.", func() float64 { return float64(n.server.Active()) })
	m.Gauge("targets", "Streaming servers that are known.", func() float64 {
		list, _ := n.targets.Current()
		return float64(len(list))
	})
	n.connections(m)
	m.Counters("recorded_bytes_total", "Bytes in casts, by stream; raw is what could not be decoded.", "stream",
		func() map[string]int64 { return n.dir.Stats().Recorded })
	m.Counters("unrecorded_bytes_total", "Bytes of sessions that are in no cast, by why not.", "reason", func() map[string]int64 {
		all := n.dir.Stats().Lost
		maps.Copy(all, n.server.Stats().Unrecorded)
		return all
	})
	m.Counters("undecodable_total", "Sessions of which a direction could not be decoded, by protocol.", "protocol",
		func() map[string]int64 { return n.server.Stats().Undecodable })
	m.Counter("untold_sessions_total", "Sessions that exectape ended, and whose clients it could not tell why.",
		func() float64 { return float64(n.server.Stats().Untold) })
	m.Counters("sink_errors_total", "Failures of the directory, and of deliveries to the recorder.", "sink", func() map[string]int64 {
		all := map[string]int64{"directory": n.dir.Stats().Failures}
		if n.uploader != nil {
			s := n.uploader.Stats()
			all["http"] = s.Retried + s.Refused
		}
		return all
	})
	m.Gauge("casts_bytes", "What all casts took when they were last looked at.", func() float64 { return float64(n.dir.Stats().Held) })
	m.Counters("casts_removed_total", "Casts that were removed, because of their age or to make room.", "reason",
		func() map[string]int64 { return n.dir.Stats().Removed })
	n.identities(m)
	if n.rules != nil {
		n.redirection(m)
	}
	if n.uploader != nil {
		n.uploads(m)
	}
	return m
}

// connections has what became of those that are no sessions.
func (n node) connections(m *admin.Metrics) {
	m.Counters("connections_refused_total", "Connections to the listener that lead nowhere, by why.", "reason",
		func() map[string]int64 { return n.server.Stats().Refused })
	m.Counter("quiet_connections_closed_total", "Connections that were closed because they said nothing and others waited.",
		func() float64 { return float64(n.server.Stats().SentAway) })
	m.Counter("tls_connections_total", "Connections over TLS, which can't be recorded.", func() float64 {
		total := 0
		for _, n := range n.server.OverTLS() {
			total += n
		}
		return float64(total)
	})
}

// countSession counts a session that has ended.
func countSession(m *admin.Metrics, s session.Summary) {
	verb, protocol := cmp.Or(s.Verb, "other"), cmp.Or(s.Protocol, "other")
	if s.EndReason == session.EndRefused {
		m.SessionRefused(verb, protocol, string(s.EndReason))
	} else {
		m.SessionEnded(verb, protocol, string(s.EndReason), s.End.Sub(s.Start))
	}
}

// identities has how well it is known whose sessions are.
func (n node) identities(m *admin.Metrics) {
	m.Counters("identified_sessions_total", "Sessions that have ended, by how well it was known whose they were; none: not looked for.", "confidence", func() map[string]int64 {
		all := make(map[string]int64)
		for _, c := range []session.Confidence{session.ConfidenceExact, session.ConfidenceLikely, session.ConfidenceAmbiguous, session.ConfidenceUnknown, ""} {
			all[cmp.Or(string(c), "none")] = n.resolver.Stats().Sessions[c]
		}
		return all
	})
	m.Counter("identify_wait_seconds_total", "How long sessions were held at their beginning, so that it is known whose they are.",
		func() float64 { return n.resolver.Stats().HeldFor.Seconds() })
	m.Counters("identify_starts_total", "Sessions that came to where those that could be mistaken for each other start one at a time, by whether they passed in time or went on when they had waited for EXECTAPE_IDENTIFY_WAIT.", "outcome", func() map[string]int64 {
		s := n.resolver.Stats()
		return map[string]int64{"passed": s.Passed - s.Exhausted, "exhausted": s.Exhausted}
	})
	m.Gauge("identify_watches", "Watches of inotify that are taken up by containers and execs.", func() float64 { return float64(n.resolver.Stats().Watches) })
	m.Gauge("containers", "Containers that sessions may belong to.", func() float64 { return float64(n.resolver.Stats().Containers) })
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
