package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"exectape/e2e/recorder"
)

// daemonSet is the one in the manifests.
func daemonSet(t *testing.T) apps.DaemonSet {
	t.Helper()
	text, err := os.ReadFile("../deploy/base/daemonset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var set apps.DaemonSet
	if err := yaml.UnmarshalStrict(text, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// capabilities are those that the pod has.
func capabilities(t *testing.T) (all []string) {
	t.Helper()
	context := daemonSet(t).Spec.Template.Spec.Containers[0].SecurityContext
	if *context.AllowPrivilegeEscalation || *context.Privileged || !slices.Equal(context.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Fatal("the pod has more than the capabilities that are added")
	}
	for _, c := range context.Capabilities.Add {
		all = append(all, strings.ToLower(string(c)))
	}
	return all
}

// holding returns a program that runs another as the pod's runtime does: as
// root with capabilities and no others, and no way to more.
func holding(t *testing.T, capabilities []string, program string) string {
	t.Helper()
	bounds := "-all"
	for _, c := range capabilities {
		bounds += ",+" + c
	}
	script := filepath.Join(t.TempDir(), "holding")
	text := fmt.Sprintf("#!/bin/sh\nexec setpriv --bounding-set=%s --inh-caps=%[1]s --no-new-privs %q \"$@\"\n", bounds, program)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

func TestThePodsCapabilitiesAreEnough(t *testing.T) {
	needsNode(t)
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			e := newExectape(t, w.env[0], auto, "EXECTAPE_RUNTIME_STATE="+runtime.State())
			e.program.Path = holding(t, capabilities(t), e.program.Path)
			e.start()
			e.logs("containers are known")
			e.probe(true, "targets: ok")
			e.saysHello(app)
		})
	}
}

// lacking has, for each capability, what an exectape without it says of that.
var lacking = map[string]string{
	"net_admin":        "(it takes CAP_NET_ADMIN",
	"net_bind_service": "bind: permission denied",
	"net_raw":          "and iptables-legacy CAP_NET_RAW",
	"sys_ptrace":       "targets: the sockets of containerd",
}

// By iptables-legacy or by iptables-nft: the node's kubelet chooses.
func TestThePodCanDoWithoutNoneOfItsCapabilities(t *testing.T) {
	needsNode(t)
	all := capabilities(t)
	for i, c := range all {
		t.Run(c, func(t *testing.T) {
			want := lacking[c]
			if want == "" {
				t.Fatalf("what an exectape without %s says is not among %q", c, lacking)
			}
			fewer := slices.Delete(slices.Clone(all), i, i+1)
			for _, w := range redirects {
				e := newExectape(t, w.env[0], auto)
				program := e.program
				program.Path = holding(t, fewer, program.Path)
				running, err := program.Begin(patiently(t))
				if err != nil {
					t.Fatal(err)
				}
				if why := unready(t, program, running); strings.Contains(why, want) {
					return
				} else if why != "" {
					t.Errorf("%s, without %s: it says\n%s\nwant %q in it", w.name, c, why, want)
				}
			}
			t.Errorf("without %s all is well", c)
		})
	}
}

// unready waits until a recorder is ready, has ended, or has looked and can't be,
// and ends it. It returns why it is not ready, if it isn't.
func unready(t *testing.T, program recorder.Program, running *recorder.Recorder) (why string) {
	t.Helper()
	eventually(t, "it is known whether exectape becomes ready", func(ctx context.Context) bool {
		looked := running.Log.Count("targets may be missing") > 0 // before it is asked, or the answer may be older
		out, err := program.Command(ctx, "probe").CombinedOutput()
		if running.Ended() {
			why = running.Log.String()
			return true
		}
		// Before there are answers, that nobody answers is no reason.
		if err != nil && looked && bytes.HasPrefix(out, []byte("listener: ok")) {
			why = string(out)
		}
		return err == nil || why != ""
	})
	running.Terminate()
	if err := running.Wait(patiently(t)); err != nil && why == "" {
		t.Errorf("exectape run: %v", err)
	}
	return why
}

func TestThePodsGarbageIsCollectedBeforeItsMemoryLimitIsReached(t *testing.T) {
	container := daemonSet(t).Spec.Template.Spec.Containers[0]
	i := slices.IndexFunc(container.Env, func(v core.EnvVar) bool { return v.Name == "GOMEMLIMIT" })
	if i < 0 {
		t.Fatal("the pod has no GOMEMLIMIT")
	}
	// Go writes MiB where Kubernetes writes Mi.
	goes, err := resource.ParseQuantity(strings.TrimSuffix(container.Env[i].Value, "B"))
	if err != nil {
		t.Fatal(err)
	}
	limit := container.Resources.Limits.Memory().Value()
	if goes.Value() < limit*3/4 || goes.Value() > limit*9/10 {
		t.Errorf("GOMEMLIMIT is %d, of a limit of %d; want three quarters to nine tenths", goes.Value(), limit)
	}
}

func TestThePodIsGivenTimeToDrain(t *testing.T) {
	env, err := os.ReadFile("../deploy/base/exectape.env")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(env), "EXECTAPE_DRAIN_TIMEOUT=")
	text, _, _ := strings.Cut(after, "\n")
	drain, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	if grace := *daemonSet(t).Spec.Template.Spec.TerminationGracePeriodSeconds; time.Duration(grace)*time.Second < drain+30*time.Second {
		t.Errorf("the pod is killed after %d s, while sessions are given %v, and the house some seconds more", grace, drain)
	}
}
