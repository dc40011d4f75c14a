package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestManySessionsAtOnceAreRecordedAndProbesAreNot(t *testing.T) {
	needsCluster(t)
	install(t)
	u := user{t: t}
	u.does("apply", "--filename=probed.yaml")
	defer u.does("delete", "deployment/probed", "--now")
	u.does("rollout", "status", "deployment/probed", within)

	pods := strings.Fields(u.does("get", "pods", "--selector=app=probed", "--output=jsonpath={.items[*].metadata.name}"))

	all := tapesFromNowOn(t)
	crowd := u.gather(100, append(pods, "web")...)
	if live := len(all.list()) - len(all.seen); live != len(crowd) {
		t.Errorf("%d sessions are being recorded, want %d", live, len(crowd))
	}
	// With or without exectape, containerd 1.6 takes more than a minute to end a
	// hundred sessions whose processes end at once.
	for some := range slices.Chunk(crowd, 10) {
		some.speakAndLeave(t)
	}
	all.areOf(crowd)
	// Each of the ten was asked to run its probe every second all the while.
	if ready := u.does("get", "deployment/probed", "--output=jsonpath={.status.readyReplicas}"); ready != "10" {
		t.Errorf("of the ten that are probed %s are ready", ready)
	}
	all.none()
}

// TestThoseWhoAreInASessionAreNotCutWhenThePodIsDeleted deletes exectape's pod
// as people do, and not as a rollout does, which waits for the next to be ready.
func TestThoseWhoAreInASessionAreNotCutWhenThePodIsDeleted(t *testing.T) {
	needsCluster(t)
	install(t)
	u := user{t: t}
	all := tapesFromNowOn(t)
	crowd := u.gather(20, "web")
	const selector = "--selector=app.kubernetes.io/name=exectape"
	pod := u.does("--namespace=exectape", "get", "pods", selector, "--output=name")
	u.does("--namespace=exectape", "delete", strings.TrimSpace(pod), "--wait=false")
	crowd.speakAndLeave(t)
	all.areOf(crowd)
	all.none()

	u.does("--namespace=exectape", "wait", strings.TrimSpace(pod), "--for=delete", within)
	next := running(t)
	next.await("is ready", func() bool { return next.status().Ready })
	wantRecorded(t, all)
}

func TestWhenTheRuntimeIsRestartedItsSessionsEndAndTheNextAreRecorded(t *testing.T) {
	needsCluster(t)
	install(t)
	u := user{t: t}
	all := tapesFromNowOn(t)
	crowd := u.gather(1, "web")
	r := running(t)
	follows := func() int { return strings.Count(r.logs(), "rules follow the targets") }
	before := follows()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := kubernetes.RestartRuntime(ctx); err != nil {
		t.Fatal(err)
	}
	crowd[0].leaves(t)
	c := all.next()
	if got := string(exectape(t, "cat", "--stream=stdout", c.ID)); got != crowd[0].name+"\n" {
		t.Errorf("the session that was cut is recorded as %q, want %q", got, crowd[0].name+"\n")
	}
	r.await("leads from where containerd listens now", func() bool { return follows() > before })
	r.await("is beside a kubelet that has found containerd again", func() bool {
		got := u.kubectl(nil, "exec", "web", "--container=app", "--", "true")
		if got.code != 0 && !strings.Contains(got.stderr, "code = Unavailable") {
			t.Fatalf("the first session after the restart: %s", got.short())
		}
		return got.code == 0
	})
	all.next().is(want{verb: "exec"})
	wantRecorded(t, all)
}

// wantRecorded fails the test unless the next session is recorded.
func wantRecorded(t *testing.T, all *tapes) {
	t.Helper()
	u := user{t: t}
	if got := u.kubectl(nil, "exec", "web", "--container=app", "--", "echo", "recorded"); got != (answer{stdout: "recorded\n"}) {
		t.Errorf("the next session: %s", got.short())
	}
	all.next().is(want{verb: "exec", stdout: []byte("recorded\n")})
	all.none()
}

// A crowd is in a session each, at the same time.
type crowd []*member

type member struct {
	name  string // which its process says first
	pod   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
	said  bytes.Buffer // on stderr; to be read when kubectl has ended
}

// startingAtOnce is how many kubectls may. Each gives up if it is not connected
// within ten seconds, and takes a CPU for a fifth of one.
const startingAtOnce = 20

// gather returns people who are in a session each, in those pods in turn, and
// have seen its beginning.
func (u user) gather(people int, pods ...string) crowd {
	u.t.Helper()
	c := make(crowd, people)
	var gathered sync.WaitGroup
	starting := make(chan struct{}, startingAtOnce)
	for i := range c {
		c[i] = &member{name: fmt.Sprintf("this is session %d", i), pod: pods[i%len(pods)]}
		gathered.Go(func() {
			starting <- struct{}{}
			c[i].begins(u)
			<-starting
		})
	}
	gathered.Wait()
	if u.t.Failed() {
		u.t.FailNow()
	}
	return c
}

// begins opens the session and waits for its first line.
func (m *member) begins(u user) {
	m.cmd = u.command("exec", "--stdin", m.pod, "--container=app", "--", "sh", "-c", fmt.Sprintf(`echo "%s"; read line; echo "you said $line"; exit 3`, m.name))
	m.cmd.Stderr = &m.said
	stdout, err := m.cmd.StdoutPipe()
	if err == nil {
		m.out = bufio.NewReader(stdout)
		m.stdin, err = m.cmd.StdinPipe()
	}
	if err == nil {
		err = m.cmd.Start()
	}
	if err != nil {
		u.t.Errorf("%s: %v", m.name, err)
		return
	}
	if line, err := m.out.ReadString('\n'); line != m.name+"\n" {
		_ = m.stdin.Close()
		_ = m.cmd.Wait()
		u.t.Errorf("%s began with %q, %v; kubectl said %q", m.name, line, err, m.said.String())
	}
}

// speakAndLeave has each say something and read the answer to its end.
func (c crowd) speakAndLeave(t *testing.T) {
	t.Helper()
	for _, m := range c {
		if _, err := fmt.Fprintln(m.stdin, m.name); err != nil {
			t.Errorf("%s can't be spoken in: %v", m.name, err)
		}
	}
	for _, m := range c {
		if said, code := m.leaves(t); said != "you said "+m.name+"\n" || code != 3 {
			t.Errorf("%s ended with %q and code %d, want what was said and 3", m.name, said, code)
		}
	}
}

// leaves waits for the session's end, and returns what came before it.
func (m *member) leaves(t *testing.T) (said string, code int) {
	t.Helper()
	rest, err := io.ReadAll(m.out)
	if err != nil {
		t.Errorf("%s: %v", m.name, err)
	}
	_ = m.cmd.Wait() // the code says how it went
	return string(rest), m.cmd.ProcessState.ExitCode()
}

// areOf fails the test unless the next casts are those of a crowd, in whatever
// order. Of so many at once it may be left open which is in which container.
func (all *tapes) areOf(c crowd) {
	all.t.Helper()
	missing := make(map[string]*member)
	for _, m := range c {
		missing[m.name] = m
	}
	exact := 0
	for range c {
		next := all.next()
		name, _, _ := strings.Cut(string(exectape(all.t, "cat", "--stream=stdout", next.ID)), "\n")
		m := missing[name]
		if m == nil {
			all.t.Errorf("a session is recorded that began with %q; want one of %d others", name, len(missing))
			continue
		}
		next.is(want{verb: "exec", exit: 3, stdout: fmt.Appendf(nil, "%s\nyou said %[1]s\n", name), pod: m.pod})
		delete(missing, name)
		if next.Identity.Names() {
			exact++
		}
	}
	all.t.Logf("of %d sessions at once it is known of %d in which container they were", len(c), exact)
}
