package admin

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace begins the name of every metric of ours.
const namespace = "exectape"

// Metrics are what /metrics has: of the process, of Go, and what was handed to
// its methods. Names go without the prefix "exectape_".
type Metrics struct {
	registry *prometheus.Registry
	sessions *prometheus.CounterVec
	duration prometheus.Histogram
}

// NewMetrics returns the metrics of a build that runs on a node.
func NewMetrics(build map[string]string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "sessions_total",
			Help: "Sessions that have ended, by how they did; refused and unrecorded ones, too.",
		}, []string{"verb", "protocol", "outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "session_duration_seconds",
			Help:    "How long the sessions took that ended.",
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600},
		}),
	}
	m.registry.MustRegister(m.sessions, m.duration,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "build_info",
			Help: "Always 1: which build this is, and on which node.", ConstLabels: build,
		}, func() float64 { return 1 }))
	return m
}

// SessionEnded counts a session that ended, after it took so long. Its words
// are of few: none that a client chose.
func (m *Metrics) SessionEnded(verb, protocol, outcome string, took time.Duration) {
	m.sessions.WithLabelValues(verb, protocol, outcome).Inc()
	m.duration.Observe(took.Seconds())
}

// SessionRefused counts a session that did not begin.
func (m *Metrics) SessionRefused(verb, protocol, outcome string) {
	m.sessions.WithLabelValues(verb, protocol, outcome).Inc()
}

// Gauge adds a number that is asked for when it is to be told.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value))
}

// Counter adds a number that never falls.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, value))
}

// Counters adds numbers that never fall, one for each value of a label. There
// are always the same values, few of them.
func (m *Metrics) Counters(name, help, label string, values func() map[string]int64) {
	m.registry.MustRegister(counters{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, []string{label}, nil), values})
}

// counters is a collector of counters that somebody else has counted.
type counters struct {
	desc   *prometheus.Desc
	values func() map[string]int64
}

// Describe implements [prometheus.Collector].
func (c counters) Describe(descs chan<- *prometheus.Desc) { descs <- c.desc }

// Collect implements [prometheus.Collector].
func (c counters) Collect(metrics chan<- prometheus.Metric) {
	values := c.values()
	for _, label := range slices.Sorted(maps.Keys(values)) {
		metrics <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(values[label]), label)
	}
}

// maxScrapes is how many may be answered at once: each takes memory.
const maxScrapes = 4

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// Gatherer returns what /metrics is made of.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }
