package cluster_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"

	"exectape/session"
)

// A privilege is what the DaemonSet asks the node for beyond what every pod has.
type privilege struct {
	without func(r *rollout) // fails the test if nothing is amiss

	// legacy has exectape use iptables-legacy, as on a node whose kubelet does.
	legacy bool
}

// privileges are all of them, by the names that they have in the manifest.
var privileges = map[string]privilege{
	"NET_ADMIN":        {without: ends("Permission denied (you must be root) (it takes CAP_NET_ADMIN")},
	"NET_BIND_SERVICE": {without: ends(": bind: permission denied")},
	"NET_RAW":          {without: ends("and iptables-legacy CAP_NET_RAW"), legacy: true},
	"SYS_PTRACE":       {without: isNotReady("can't be seen: that takes CAP_SYS_PTRACE")},

	"hostNetwork": {without: isNotReady("listens nowhere in this network: a pod is in the node's with hostNetwork: true")},
	"hostPID":     {without: isNotReady("a pod sees the node's with hostPID: true")},

	"/var/lib/exectape": {without: ends("directory of casts: mkdir /var: read-only file system")},
	"/run/exectape":     {without: isNotReady("connect: no such file or directory", "mkdir /run/exectape: read-only file system")},
	"/run/xtables.lock": {without: ends("can't open lock file /run/xtables.lock: Read-only file system"), legacy: true},
	"/run/containerd":   {without: recordsNot("whose a session is", func(i session.Identity) bool { return i.Names() })},
	"/tmp":              {without: recordsNot("what a session runs", func(i session.Identity) bool { return len(i.Command) > 0 })},
}

// ends says that the container ends, and why.
func ends(why string) func(*rollout) {
	return func(r *rollout) {
		r.u.t.Helper()
		all := tapesFromNowOn(r.u.t)
		r.await("ends with "+why, func() bool {
			return r.status().LastTerminationState.Terminated != nil && strings.Contains(r.logs(), why)
		})
		wantRecorded(r.u.t, all) // by the one that is there
	}
}

// isNotReady says that the pod isn't ready, and why, as a person sees who
// describes it. A cause of that is in its log.
func isNotReady(why string, causes ...string) func(*rollout) {
	return func(r *rollout) {
		r.u.t.Helper()
		all := tapesFromNowOn(r.u.t)
		r.await("is not ready because "+why, func() bool {
			logs := r.logs()
			for _, cause := range causes {
				if !strings.Contains(logs, cause) {
					return false
				}
			}
			return !r.status().Ready && strings.Contains(r.events(), why)
		})
		wantRecorded(r.u.t, all)
	}
}

// recordsNot says that the pod is ready, and that its sessions lack something.
func recordsNot(what string, known func(session.Identity) bool) func(*rollout) {
	return func(r *rollout) {
		r.u.t.Helper()
		r.isReady()
		all := tapesFromNowOn(r.u.t)
		r.u.does("exec", "--stdin", "web", "--container=app", "--", "cat")
		if c := all.next(); known(c.Identity) {
			r.u.t.Errorf("%s is known: %+v", what, c.Identity)
		}
	}
}

func TestThePodCanDoWithoutNoneOfItsPrivileges(t *testing.T) {
	needsCluster(t)
	install(t)
	paths := whereAsked(daemonSet(t).Spec.Template.Spec)
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		t.Run(strings.TrimPrefix(name, "/"), func(t *testing.T) {
			p, known := privileges[name]
			if !known {
				t.Fatalf("nobody says what is amiss without %s", name)
			}
			changes := []change{{Op: "remove", Path: paths[name]}}
			if p.legacy {
				changes = append(changes, useLegacy)
			}
			r := rollOut(t, changes...)
			defer r.undo()
			p.without(r)
		})
	}
	for name := range privileges {
		if paths[name] == "" {
			t.Errorf("the manifest doesn't ask for %s any more", name)
		}
	}
}

// What the kernel says of the process, and not what was asked for.
func TestThePodRunsWithTheManifestsCapabilitiesAndNoOthers(t *testing.T) {
	needsCluster(t)
	install(t)
	var all uint64
	for _, name := range daemonSet(t).Spec.Template.Spec.Containers[0].SecurityContext.Capabilities.Add {
		bit, known := map[core.Capability]int{
			"NET_ADMIN": unix.CAP_NET_ADMIN, "NET_BIND_SERVICE": unix.CAP_NET_BIND_SERVICE, "NET_RAW": unix.CAP_NET_RAW, "SYS_PTRACE": unix.CAP_SYS_PTRACE,
		}[name]
		if !known {
			t.Fatalf("nobody says which bit %s is", name)
		}
		all |= 1 << bit
	}
	status := string(onNode(t, "sh", "-c", `for p in /proc/[0-9]*; do if [ "$(cat $p/comm)" = exectape ]; then cat $p/status; fi; done 2>/dev/null; true`))
	for name, want := range map[string]string{
		"CapPrm": fmt.Sprintf("%016x", all), "CapEff": fmt.Sprintf("%016x", all), "CapBnd": fmt.Sprintf("%016x", all), "CapAmb": fmt.Sprintf("%016x", 0),
		"NoNewPrivs": "1", "Seccomp": "2",
	} {
		if !strings.Contains(status, "\n"+name+":\t"+want+"\n") {
			t.Errorf("the kernel doesn't say %s: %s, but of processes called exectape\n%s", name, want, status)
		}
	}
}

// What is amiss without a privilege proves something if nothing is with it. With
// iptables-nft that is what every test here begins with.
func TestThePodsPrivilegesAreEnoughForLegacyIptables(t *testing.T) {
	needsCluster(t)
	install(t)
	r := rollOut(t, useLegacy)
	defer r.undo()
	r.isReady()
	if logs := r.logs(); !strings.Contains(logs, `"rules in place","iptables":"legacy"`) {
		t.Errorf("the pod's log says:\n%s", logs)
	}
	wantRecorded(t, tapesFromNowOn(t))
}

const (
	podPath       = "/spec/template/spec"
	containerPath = podPath + "/containers/0"
)

// useLegacy has exectape use iptables-legacy, as on a node whose kubelet does.
var useLegacy = env("EXECTAPE_IPTABLES", "legacy")

// whereAsked returns where in the DaemonSet each privilege of its pods is asked
// for, as JSON patches have it.
func whereAsked(pod core.PodSpec) map[string]string {
	paths := make(map[string]string)
	for name, asked := range map[string]bool{"hostNetwork": pod.HostNetwork, "hostPID": pod.HostPID, "hostIPC": pod.HostIPC} {
		if asked {
			paths[name] = podPath + "/" + name
		}
	}
	container := pod.Containers[0]
	for i, mount := range container.VolumeMounts {
		paths[mount.MountPath] = fmt.Sprintf("%s/volumeMounts/%d", containerPath, i)
	}
	for i, capability := range container.SecurityContext.Capabilities.Add {
		paths[string(capability)] = fmt.Sprintf("%s/securityContext/capabilities/add/%d", containerPath, i)
	}
	return paths
}
