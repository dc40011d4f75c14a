package cluster_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"exectape/e2e/cluster"
)

func TestWhatPeopleDoWithKubectlIsTheSameAndRecorded(t *testing.T) {
	needsCluster(t)
	uninstall(t)
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
	exectape(t, "verify", cluster.CastDirectory) // it fails if a cast and its summary don't agree
}

// A rollout leaves nobody without a recorder, and no session without its own.
func TestARolloutCutsNoSessionAndMissesNone(t *testing.T) {
	needsCluster(t)
	install(t)
	all := tapesFromNowOn(t)
	u := user{t: t}
	p := u.sitsDown("exec", "-it", "web", "--container=app", "--", "sh")
	p.sees("# ")
	short := 0
	session := func() {
		short++
		if a := u.kubectl(nil, "exec", "web", "--container=app", "--", "echo", "short"); a != (answer{stdout: "short\n"}) {
			t.Errorf("session %d during the rollout: %s", short, a.short())
		}
	}
	u.does("--namespace=exectape", "rollout", "restart", "daemonset/exectape")
	// The elder is asked to go when the younger is ready, and lives until its last
	// session has ended.
	for u.does("--namespace=exectape", "get", "pods", "--output=jsonpath={.items[*].metadata.deletionTimestamp}") == "" {
		session()
	}
	session()
	p.types("echo still he''re; exit 7\n")
	p.sees("still here")
	session()
	if code := p.leaves(); code != 7 {
		t.Errorf("the session that lived through it: code %d, want 7", code)
	}
	u.does("--namespace=exectape", "rollout", "status", "daemonset/exectape", within)
	session()
	all.next().is(want{verb: "exec", exit: 7, size: "132x43", certain: true})
	for range short {
		all.next().is(want{verb: "exec", stdout: []byte("short\n")})
	}
	all.none()
}

// What a session runs is seen while runc starts it, and on a busy node not always.
func TestWhatASessionRunsIsKnown(t *testing.T) {
	needsCluster(t)
	install(t)
	all := tapesFromNowOn(t)
	for deadline := time.Now().Add(patience); ; {
		user{t: t}.does("exec", "--stdin", "web", "--container=app", "--", "cat", "-")
		i := all.next().Identity
		switch {
		case slices.Equal(i.Command, []string{"cat", "-"}) && i.User == "0:0":
			return
		case i.Command != nil:
			t.Fatalf("it is said to run %q as %s, want cat - as 0:0", i.Command, i.User)
		case time.Now().After(deadline):
			t.Fatalf("what sessions run has not been known for %v", patience)
		}
	}
}

// overlay is what is deployed: what kind needs is what any cluster needs to
// which an image was brought by hand.
const overlay = "../../deploy/overlays/kind"

// install deploys exectape and waits until it records.
func install(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	installed.Do(func() {
		if err := kubernetes.Install(ctx, "../.."); err != nil {
			t.Fatal(err)
		}
	})
	u := user{t: t}
	u.does("apply", "--kustomize="+overlay)
	t.Cleanup(func() {
		if t.Failed() {
			explain(t, "logs", "--prefix", "--tail=1000", "--selector=app.kubernetes.io/name=exectape")
			explain(t, "describe", "pods")
			explain(t, "get", "events")
		}
	})
	u.does("--namespace=exectape", "rollout", "status", "daemonset/exectape", within)
}

var installed sync.Once

// uninstall takes exectape away, if a test has deployed it.
func uninstall(t *testing.T) {
	t.Helper()
	user{t: t}.does("delete", "--kustomize="+overlay, "--ignore-not-found", "--cascade=foreground", within)
}

// explain logs what kubectl says about exectape, when the test's own time is
// over.
func explain(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	said, _ := kubernetes.Kubectl(ctx, append([]string{"--namespace=exectape"}, args...)...).CombinedOutput()
	t.Logf("kubectl %s:\n%s", strings.Join(args, " "), said)
}
