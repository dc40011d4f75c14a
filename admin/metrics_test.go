package admin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"exectape/admin"

	"go.uber.org/zap"
)

func TestMetricsAreWhatTheyWereToldAtTheTimeOfTheScrape(t *testing.T) {
	m := admin.NewMetrics(map[string]string{"version": "v1.2.3"})
	targets := 1.0
	m.Gauge("targets", "Streaming servers that are known.", func() float64 { return targets })
	m.Counters("recorded_bytes_total", "Bytes that were recorded.", "stream", func() map[string]int64 {
		return map[string]int64{"stdout": 4711, "stderr": 0}
	})
	m.SessionEnded("exec", "spdy", "completed", 3*time.Second)
	m.SessionRefused("exec", "spdy", "refused")
	targets = 2
	s := admin.NewServer(m, nil, nil, zap.NewNop())
	address := freeAddress(t)
	serving(t, func(ctx context.Context) { s.ServeTCP(ctx, address) })
	_, page := get(t, "http://"+address+"/metrics")
	for _, want := range []string{
		`exectape_build_info{version="v1.2.3"} 1`,
		`exectape_targets 2`,
		`exectape_recorded_bytes_total{stream="stdout"} 4711`,
		`exectape_recorded_bytes_total{stream="stderr"} 0`,
		`exectape_sessions_total{outcome="completed",protocol="spdy",verb="exec"} 1`,
		`exectape_sessions_total{outcome="refused",protocol="spdy",verb="exec"} 1`,
		`exectape_session_duration_seconds_count 1`,
		`process_open_fds`,
		`go_goroutines`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in:\n%s", want, page)
		}
	}
}
