package cluster_test

import (
	"context"
	"testing"
)

func TestWhatPeopleDoWithKubectlIsTheSameAndRecorded(t *testing.T) {
	needsCluster(t)
	without := make(map[string]answer)
	t.Run("without exectape", func(t *testing.T) {
		each(t, func(s scenario, u user) { without[u.protocol()+s.name] = s.run(u) })
	})
	install(t)
	t.Run("with exectape", func(t *testing.T) {
		each(t, func(s scenario, u user) {
			all := tapesFromNowOn(u.t)
			if got, want := s.run(u), without[u.protocol()+s.name]; got != want {
				u.t.Errorf("with exectape: %s\nwithout: %s", got.short(), want.short())
			}
			for _, want := range s.sessions {
				all.next().is(want)
			}
			all.none()
		})
	})
}

// install deploys exectape and waits until it records.
func install(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := kubernetes.Install(ctx, "../.."); err != nil {
		t.Fatal(err)
	}
	u := user{t: t}
	u.does("apply", "--filename=../../deploy/daemonset.yaml")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("exectape's log:\n%s", u.kubectl(nil, "--namespace=exectape", "logs", "daemonset/exectape").stdout)
		}
	})
	u.does("--namespace=exectape", "rollout", "status", "daemonset/exectape", "--timeout=90s")
}
