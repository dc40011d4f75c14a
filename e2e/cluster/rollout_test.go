package cluster_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

// daemonSet returns exectape's as the cluster has it.
func daemonSet(t *testing.T) (set apps.DaemonSet) {
	t.Helper()
	text := user{t: t}.does("--namespace=exectape", "get", "daemonset/exectape", "--output=json")
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// A change is an operation of a JSON patch (RFC 6902).
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// A rollout is one of the DaemonSet with changes. Its pod is beside the one that
// was there, until it is ready.
type rollout struct {
	u        user
	selector string // of its pod
}

func rollOut(t *testing.T, changes ...change) *rollout {
	t.Helper()
	patch, err := json.Marshal(changes)
	if err != nil {
		t.Fatal(err)
	}
	r := &rollout{u: user{t: t}}
	r.does("patch", "daemonset/exectape", "--type=json", "--patch="+string(patch))
	r.selector = fmt.Sprintf("--selector=pod-template-generation=%d", daemonSet(t).Generation)
	return r
}

// undo brings the DaemonSet back to what it was.
func (r *rollout) undo() {
	r.u.t.Helper()
	if r.u.t.Failed() {
		r.u.t.Logf("the pod's log:\n%s\nits events:\n%s", r.logs(), r.events())
	}
	r.does("rollout", "undo", "daemonset/exectape")
	r.isReady()
	r.does("wait", "pods", r.selector, "--for=delete", within)
}

// does runs kubectl in exectape's namespace.
func (r *rollout) does(args ...string) string {
	r.u.t.Helper()
	return r.u.does(append([]string{"--namespace=exectape"}, args...)...)
}

// isReady waits until the DaemonSet's pod is.
func (r *rollout) isReady() {
	r.u.t.Helper()
	r.does("rollout", "status", "daemonset/exectape", within)
}

// await waits until the pod does what it says.
func (r *rollout) await(does string, so func() bool) {
	r.u.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(askAgain) {
		if time.Now().After(deadline) {
			r.u.t.Fatalf("within %v the pod is not seen to be one that %s", patience, does)
		}
	}
}

// status is the one of the pod's container. That of a pod which isn't there yet
// says nothing.
func (r *rollout) status() core.ContainerStatus {
	r.u.t.Helper()
	var pods core.PodList
	if err := json.Unmarshal([]byte(r.does("get", "pods", r.selector, "--output=json")), &pods); err != nil {
		r.u.t.Fatal(err)
	}
	for _, p := range pods.Items {
		for _, s := range p.Status.ContainerStatuses {
			return s // there is one
		}
	}
	return core.ContainerStatus{}
}

// logs is what the pod's container says, or the last that ended has said.
func (r *rollout) logs() string {
	r.u.t.Helper()
	return r.u.kubectl(nil, "--namespace=exectape", "logs", "--tail=-1", r.selector).stdout
}

// events are what the kubelet says about the pod.
func (r *rollout) events() string {
	r.u.t.Helper()
	pod := r.does("get", "pods", r.selector, "--output=jsonpath={.items[*].metadata.name}")
	return r.does("get", "events", "--field-selector=involvedObject.name="+pod, "--output=jsonpath={range .items[*]}{.reason}: {.message}\n{end}")
}
