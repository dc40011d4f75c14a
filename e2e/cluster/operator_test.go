package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"

	"exectape/e2e/cluster"
	"exectape/session"
)

// What docs/operations.md promises to whoever runs a node, as far as it takes a
// cluster to see it.

func TestWhoAsksThePodIsToldHowItIsDoing(t *testing.T) {
	needsCluster(t)
	install(t)
	u := user{t: t}
	all := tapesFromNowOn(t)
	p := u.sitsDown("exec", "-it", "web", "--container=app", "--", "sh")
	p.sees("# ")
	p.types("echo sh''own\n")
	p.sees("shown\r\n")
	if got, want := u.inPod("probe"), "listener: ok\nsink: ok\ntargets: ok\nrules: ok\nlease: ok\n"; got != want {
		t.Errorf("exectape probe says %q, want %q", got, want)
	}
	if got := u.inPod("sessions"); !strings.Contains(got, " shop/web ") {
		t.Errorf("exectape sessions doesn't tell of the one that goes on:\n%s", got)
	}
	p.types("exit\n")
	p.leaves()
	c := all.next()
	if got := u.inPod("ls"); !strings.Contains(got, c.ID) {
		t.Errorf("exectape ls doesn't tell of session %s:\n%s", c.ID, got)
	}
	if got := u.inPod("cat", c.ID); got != string(p.screen.Bytes()) {
		t.Errorf("exectape cat shows %q, and the person saw %q", got, p.screen.Bytes())
	}
}

// inPod runs exectape's program in its own pod, and returns what it prints.
func (u user) inPod(args ...string) string {
	u.t.Helper()
	return u.does(append([]string{"--namespace=exectape", "exec", "daemonset/exectape", "--", "exectape"}, args...)...)
}

// With open whoever works is not kept from it.
func TestWhileCastsCantBeWrittenThePodSaysSoAndSessionsGoOn(t *testing.T) {
	needsCluster(t)
	install(t)
	r := running(t)
	all := tapesFromNowOn(t)
	closeDirectory(t)
	defer openDirectory(t)
	r.await("says which thing is not so", func() bool {
		return strings.Contains(r.events(), "Readiness probe failed: listener: ok\nsink: openat .tried: permission denied\ntargets: ok\nrules: ok\nlease: ok\n")
	})
	if got := r.u.does("exec", "web", "--container=app", "--", "echo", "unheard"); got != "unheard\n" {
		t.Errorf("a session shows %q meanwhile, want unheard", got)
	}
	openDirectory(t)
	c := all.next()
	if len(c.Gaps) != 1 || c.Gaps[0].Bytes != int64(len("unheard\n")) || !strings.HasSuffix(c.Gaps[0].Reason, "permission denied") {
		t.Errorf("the gaps of the session that nothing was kept of are %+v", c.Gaps)
	}
	wantRecorded(t, all)
}

// The directory of casts is root's, as exectape is, who has no capability to
// write to it all the same.
func closeDirectory(t *testing.T) { t.Helper(); onNode(t, "chmod", "0500", cluster.CastDirectory) }
func openDirectory(t *testing.T)  { t.Helper(); onNode(t, "chmod", "0700", cluster.CastDirectory) }

// A kubelet has a rule of its own that uses connection tracking. So that goes on
// without exectape's, and what is typed meanwhile arrives.
func TestRulesThatAreRemovedComeBackAndNoSessionIsCut(t *testing.T) {
	needsCluster(t)
	install(t)
	for by, remove := range map[string]func(u user){
		"another program": func(u user) { onNode(u.t, "iptables", "-t", "nat", "-F", "EXECTAPE") },
		"rules remove":    func(u user) { u.inPod("rules", "remove") },
	} {
		t.Run(by, func(t *testing.T) {
			r, u := running(t), user{t: t}
			repairs := func() int { return strings.Count(r.logs(), "rules repaired: sessions may have passed unrecorded") }
			all := tapesFromNowOn(t)
			p := u.sitsDown("exec", "-it", "web", "--container=app", "--", "sh")
			p.sees("# ")
			before := repairs()
			remove(u)
			p.types("echo wi''thout\n")
			p.sees("without\r\n")
			r.await("has put the rules back", func() bool { return repairs() > before })
			p.types("echo wi''th; exit 7\n")
			p.sees("with\r\n")
			if code := p.leaves(); code != 7 {
				t.Errorf("the session that lived through it: code %d, want 7", code)
			}
			all.next().is(want{verb: "exec", exit: 7, size: "132x43", certain: true})
			all.ignore() // that of exectape rules remove
			wantRecorded(t, all)
		})
	}
}

func TestASessionWhoseExectapeIsKilledHasACastOfAllThatWasSeen(t *testing.T) {
	needsCluster(t)
	install(t)
	r, u := running(t), user{t: t}
	all := tapesFromNowOn(t)
	p := u.sitsDown("exec", "-it", "web", "--container=app", "--", "sh")
	p.sees("# ")
	p.types("echo se''en; exec sleep 1000\n")
	p.sees("seen\r\n")
	saw := p.screen.Bytes()
	before := r.status()
	_, id, _ := strings.Cut(before.ContainerID, "containerd://")
	onNode(t, "sh", "-c", "kill -KILL $(cat /run/containerd/io.containerd.runtime.v2.task/k8s.io/"+id+"/init.pid)")
	p.leaves()
	r.await("is back", func() bool { now := r.status(); return now.RestartCount > before.RestartCount && now.Ready })
	c := all.next()
	if c.EndReason != session.EndInterrupted {
		t.Errorf("the session is said to have ended as %s, want %s", c.EndReason, session.EndInterrupted)
	}
	c.has("stdout", c.Streams.Stdout, saw)
	wantRecorded(t, all)
}

func TestWithClosedThereIsNoSessionThatIsNotRecorded(t *testing.T) {
	needsCluster(t)
	install(t)
	r := rollOut(t, env("EXECTAPE_FAIL_POLICY", "closed"), env("EXECTAPE_SESSION_MAX_BYTES", "1MiB"))
	remove := func() {
		r.does("delete", "daemonset/exectape", "--ignore-not-found", "--cascade=foreground", within)
	}
	removeRules := func() { exectape(t, "rules", "remove") }
	defer removeRules()
	defer remove()
	r.isReady()
	all := tapesFromNowOn(t)
	wantRecorded(t, all)

	for _, u := range []user{{t: t}, {t: t, spdy: true}} {
		got := u.kubectl(nil, "exec", "web", "--container=app", "--", "head", "-c", "3000000", "/dev/zero")
		if n := len(got.stdout); n == 0 || n > 1<<20 || got.code == 0 || !strings.Contains(got.stderr, "exectape ended this session because it could not be recorded") {
			t.Errorf("over %s, with more than a cast may have, the session ends behind %d bytes with code %d, stderr %q", u.protocol(), n, got.code, got.stderr)
		}
		c := all.next()
		if recorded := string(exectape(t, "cat", c.ID)); c.EndReason != session.EndByUs || !strings.HasPrefix(recorded, got.stdout) {
			t.Errorf("it ended as %s, and %d bytes are recorded of the %d", c.EndReason, len(recorded), len(got.stdout))
		}
	}

	closeDirectory(t)
	defer openDirectory(t)
	for _, u := range []user{{t: t}, {t: t, spdy: true}} {
		u.isRefused("exectape refused this session because it can't be recorded")
	}
	openDirectory(t)
	wantRecorded(t, all)

	remove()
	for _, u := range []user{{t: t}, {t: t, spdy: true}} {
		u.isRefused("connection refused")
	}
	removeRules()
	if got := r.u.does("exec", "web", "--container=app", "--", "echo", "unheard"); got != "unheard\n" {
		t.Errorf("without the rules a session shows %q, want unheard", got)
	}
	all.none()
}

// env sets a variable of exectape's.
func env(name, value string) change {
	return change{"add", containerPath + "/env/-", core.EnvVar{Name: name, Value: value}}
}

// isRefused fails the test unless no session begins, and kubectl says why.
func (u user) isRefused(why string) {
	u.t.Helper()
	if got := u.kubectl(nil, "exec", "web", "--container=app", "--", "echo", "unheard"); got.stdout != "" || got.code == 0 || !strings.Contains(got.stderr, why) {
		u.t.Errorf("over %s a session is answered with %s; want it refused: %s", u.protocol(), got.short(), why)
	}
}

// running is the rollout that there was last.
func running(t *testing.T) *rollout {
	t.Helper()
	return &rollout{u: user{t: t}, selector: fmt.Sprintf("--selector=pod-template-generation=%d", daemonSet(t).Generation)}
}

// ignore passes over the casts that there are.
func (all *tapes) ignore() {
	all.t.Helper()
	for _, s := range all.list() {
		all.seen[s.ID] = true
	}
}
