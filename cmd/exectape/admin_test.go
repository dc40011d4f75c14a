package main

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"exectape/admin"
	"exectape/identify"
	"exectape/keeper"
	"exectape/sink"
	"exectape/targets"
)

// everything is a node that has all that there can be to tell of.
func everything(t *testing.T) (config, node) {
	t.Helper()
	cfg, err := loadConfig([]string{"EXECTAPE_TARGETS=127.0.0.1:34567", "EXECTAPE_HTTP_URL=http://recorder.example/casts"})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := sink.OpenDir(filepath.Join(t.TempDir(), "casts"), sink.Options{Version: 2}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	resolver := identify.New(t.TempDir(), t.TempDir(), cfg.IdentifyWait, zap.NewNop())
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		resolver.Run(ended)
	})
	known := targets.Fixed(cfg.Targets...)
	return cfg, node{newServer(cfg, known, dir, zap.NewNop()), known, dir, newUploader(cfg, dir, zap.NewNop()), keeper.New(keeper.Config{Rules: redirect(cfg, 1015, cfg.Targets)}, zap.NewNop()), resolver}
}

func TestMetricsAreNamedAsPrometheusHasIt(t *testing.T) {
	cfg, n := everything(t)
	m := n.metrics(cfg)
	m.SessionEnded("exec", "spdy", "completed", time.Second)
	problems, err := promlint.NewWithMetricFamilies(gather(t, m)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "exectape_") { // the others are not ours to name
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func gather(t *testing.T, m *admin.Metrics) []*dto.MetricFamily {
	t.Helper()
	all, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWithoutARecorderThereIsNothingToTellOfIt(t *testing.T) {
	cfg, n := everything(t)
	cfg.HTTPURL, n.uploader = url.URL{}, nil
	for _, family := range gather(t, n.metrics(cfg)) {
		if strings.HasPrefix(family.GetName(), "exectape_upload") {
			t.Errorf("%s is told", family.GetName())
		}
	}
}
