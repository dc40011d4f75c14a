package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"exectape/e2e/kubelet"
	"exectape/e2e/node"
	"exectape/e2e/recorder"
)

// auto has exectape find its targets.
const auto = "EXECTAPE_TARGETS=auto"

// another starts one more containerd, and a container on it.
func another(t *testing.T, streaming string) (*node.Node, *node.Container) {
	t.Helper()
	ctx := patiently(t)
	n, err := node.Start(ctx, netip.MustParseAddrPort(streaming))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	pod, err := n.RunPod(ctx, "annex")
	if err != nil {
		t.Fatal(err)
	}
	container, err := pod.RunContainer(ctx, "app", cat)
	if err != nil {
		t.Fatal(err)
	}
	return n, container
}

// saysHello has a session in a container whose recording must be there.
func (e *exectape) saysHello(container *node.Container) recording {
	e.t.Helper()
	run(e.t, direct, container, kubelet.Process{Command: []string{"echo", "hello"}}).leaves()
	r := e.recorded()
	wantSame(e.t, "the recorded stdout", r.cat("stdout"), []byte("hello\n"))
	return r
}

func TestARuntimeIsFollowedFromPortToPort(t *testing.T) {
	needsNode(t)
	moving, container := another(t, "127.0.0.1:0")
	e := start(t, byNFT.env[0], auto)
	e.saysHello(container)
	e.saysHello(app) // of the other containerd
	var found, led []time.Duration
	ports := make(map[netip.AddrPort]bool)
	for range 20 {
		if err := moving.Restart(patiently(t)); err != nil {
			t.Fatal(err)
		}
		since, err := moving.Since()
		if err != nil {
			t.Fatal(err)
		}
		target := serves(t, container)
		if ports[target] { // by chance: it may be a target still, and is not found then
			eventually(t, "a rule leads from it", func(context.Context) bool {
				return strings.Contains(rules(t), fmt.Sprintf("--dport %d ", target.Port()))
			})
		} else {
			found = append(found, when(t, e.logsOf(target, "target found", "target")).Sub(since))
			// They also change a minute after each restart, when the port before it is a
			// target no more.
			led = append(led, when(t, e.logsOf(target, "rules follow the targets", "targets")).Sub(since))
		}
		ports[target] = true
		if r := e.saysHello(container); r.Target != target {
			t.Errorf("the session's target is %v, found was %s", r.Target, target)
		}
	}
	if len(ports) < 2 {
		t.Errorf("the runtime was never on another port: %v", ports)
	}
	t.Logf("20 restarts on %d ports: found after %s, the rules followed after %s", len(ports), spread(found), spread(led))
}

// serves waits until a container's runtime serves sessions, and returns where.
func serves(t *testing.T, container *node.Container) (at netip.AddrPort) {
	t.Helper()
	eventually(t, "the runtime listens", func(ctx context.Context) bool {
		u, err := container.Exec(ctx, cat)
		if err == nil {
			at, err = netip.ParseAddrPort(u.Host)
		}
		return err == nil && at.Port() > 0 // which it doesn't know before it listens
	})
	return at
}

// logsOf waits for a line of the log that has a target in a field.
func (e *exectape) logsOf(target netip.AddrPort, message, field string) recorder.Line {
	e.t.Helper()
	for {
		if line := e.logs(message); strings.Contains(line.Text(field), target.String()) {
			return line
		}
	}
}

// when is the time of a log's line.
func when(t *testing.T, line map[string]any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["ts"]))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// spread tells what times there were.
func spread(times []time.Duration) string {
	slices.Sort(times)
	return fmt.Sprintf("%v (median), %v (most)", times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))
}

// Its URL is http://[::]:PORT, to which the kernel connects as to the loopback.
func TestARuntimeMayListenOnAWildcard(t *testing.T) {
	needsNode(t)
	_, container := another(t, "0.0.0.0:0")
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, w.env[0], auto)
			if r := e.saysHello(container); !r.Target.Addr().IsLoopback() {
				t.Errorf("the session's target is %v, want a loopback address", r.Target)
			}
		})
	}
}

func TestARuntimeThatStartsAgainOnItsPortIsLedToAllTheTime(t *testing.T) {
	needsNode(t)
	// Not among the ports that clients are given: one of theirs may have it yet
	// when the runtime comes back.
	fixed, container := another(t, "127.0.0.1:24568")
	e := start(t, byNFT.env[0], auto)
	e.saysHello(container)
	byNFT.table(t, "-t", "nat", "-Z", "EXECTAPE")
	if err := fixed.Restart(patiently(t)); err != nil {
		t.Fatal(err)
	}
	// It is asked again what it is, past the rule that leads to exectape.
	eventually(t, "exectape's own connections were let through", func(context.Context) bool {
		return !strings.Contains(byNFT.counted(t, "let its own connections through"), " -c 0 0 ")
	})
	if led := byNFT.counted(t, "record sessions with 127.0.0.1:24568"); !strings.Contains(led, " -c 0 0 ") {
		t.Errorf("exectape asked itself: %s", led)
	}
	e.saysHello(container)
	if n := e.running.Log.Count("target gone"); n > 0 {
		t.Errorf("its target was gone %d times", n)
	}
}

func TestTheStreamingServerOfEachRuntimeIsFound(t *testing.T) {
	needsNode(t)
	for _, i := range []impostor{
		{comm: "crio", serves: "streaming 127.0.0.1:0"},
		{comm: "crio", serves: "streaming [::1]:0"},
		{comm: "conmonrs", serves: "conmon-rs 127.0.0.1:0"},
		{comm: "cri-dockerd", serves: "streaming-below-cri :0"},
	} {
		t.Run(i.comm+" "+i.serves, func(t *testing.T) {
			e := start(t, byNFT.env[0], auto)
			at := i.start(t)
			for want := at.String(); ; {
				line := e.logs("target found")
				if at.Addr().IsUnspecified() {
					want = fmt.Sprintf("[::1]:%d", at.Port())
				}
				if line.Text("target") == want {
					if !strings.HasPrefix(line.Text("runtime"), i.comm+" (process ") {
						t.Errorf("%s is found as %s", i.comm, line.Text("runtime"))
					}
					break
				}
			}
			eventually(t, "a rule leads from it", func(context.Context) bool {
				return strings.Contains(rules(t), fmt.Sprintf("--dport %d", at.Port()))
			})
		})
	}
}

func TestStrangersAreNoTargets(t *testing.T) {
	needsNode(t)
	e := start(t, byNFT.env[0], auto)
	strangers := map[string]netip.AddrPort{}
	for name, i := range map[string]impostor{
		"a user's by the name of a runtime":             {comm: "containerd", serves: "streaming 127.0.0.1:0", uid: nobody},
		"a user's that is setuid":                       {comm: "crio", serves: "streaming 127.0.0.1:0", uid: nobody, setuid: true},
		"root's by another name":                        {comm: "nginx", serves: "streaming 127.0.0.1:0"},
		"a runtime's that is no streaming server":       {comm: "crio", serves: "metrics 127.0.0.1:0"},
		"a user's on a wildcard, by a runtime's name":   {comm: "conmonrs", serves: "conmon-rs [::]:0", uid: nobody},
		"root's on a wildcard, by almost such a name":   {comm: "containerd-shim", serves: "streaming [::]:0"},
		"a user's that has the paths of cri-dockerd":    {comm: "cri-dockerd", serves: "streaming-below-cri 127.0.0.1:0", uid: nobody},
		"a runtime's by name, with nothing but metrics": {comm: "conmonrs", serves: "metrics [::1]:0"},
	} {
		strangers[name] = i.start(t)
	}
	// By the time that it has found one that came later, it has seen them all.
	last := impostor{comm: "crio", serves: "streaming 127.0.0.1:0"}.start(t)
	for e.logs("target found").Text("target") != last.String() {
	}
	all := rules(t)
	for name, at := range strangers {
		if strings.Contains(all, fmt.Sprintf("--dport %d ", at.Port())) {
			t.Errorf("%s is a target: %v", name, at)
		}
	}
}

func TestWhoMayNotSeeARuntimesSocketsSaysSo(t *testing.T) {
	needsNode(t)
	e := newExectape(t, byNFT.env[0], auto)
	e.program.Path = without(t, "sys_ptrace", e.program.Path)
	e.begin()
	if line := e.logs("targets may be missing"); !strings.Contains(line.Text("error"), "that takes CAP_SYS_PTRACE") {
		t.Errorf("the log says %q", line.Text("error"))
	}
	e.probe(false, "targets: the sockets of containerd (process ")
}

func TestRulesAreMadeOfWhatIsFound(t *testing.T) {
	needsNode(t)
	e := newExectape(t, byNFT.env[0], auto)
	if printed := string(e.run("rules", "print")); !strings.Contains(printed, " --dport "+fmt.Sprint(streamingServer.Port())+" ") {
		t.Errorf("exectape rules print:\n%s", printed)
	}
	e.program.Path = without(t, "sys_ptrace", e.program.Path)
	said, err := e.program.Command(patiently(t), "rules", "print").CombinedOutput()
	if err == nil || !strings.Contains(string(said), "no target was found: the sockets of containerd") {
		t.Errorf("without CAP_SYS_PTRACE, %v:\n%s", err, said)
	}
}

// begin starts it without waiting until it is ready.
func (e *exectape) begin() {
	e.t.Helper()
	running, err := e.program.Begin(patiently(e.t))
	if err != nil {
		e.t.Fatal(err)
	}
	e.running, e.runs = running, append(e.runs, running.Log)
}

// One that knows no target has nothing to take over.
func TestAnElderKeepsItsRulesUntilAYoungerKnowsATarget(t *testing.T) {
	needsNode(t)
	elder := start(t, byNFT.env[0], auto)
	before := rules(t)
	younger := newExectape(t, byNFT.env[0], auto)
	younger.program.Path = without(t, "sys_ptrace", younger.program.Path)
	younger.begin()
	younger.logs("targets may be missing")
	younger.probe(false, "listener: ok")
	for range 5 {
		elder.saysHello(app)
	}
	younger.stop()
	if after := rules(t); after != before {
		t.Errorf("the rules beside a younger that knows no target:\n%s\nand before it:\n%s", after, before)
	}
}

// without returns a program that runs another without a capability.
func without(t *testing.T, capability, program string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "without-"+capability)
	text := fmt.Sprintf("#!/bin/sh\nexec setpriv --bounding-set=-%s %q \"$@\"\n", capability, program)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

// counted returns the rules with a comment, and how many packets each had.
func (w way) counted(t *testing.T, comment string) string {
	t.Helper()
	program := "iptables-" + strings.TrimPrefix(w.env[0], "EXECTAPE_IPTABLES=")
	all, err := exec.Command(program, "-w", "-t", "nat", "-v", "-S", "EXECTAPE").Output()
	if err != nil {
		t.Fatal(err)
	}
	var some []string
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, comment) {
			some = append(some, line)
		}
	}
	return strings.Join(some, "")
}
