package e2e_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"exectape/e2e/kubelet"
	"exectape/e2e/recorder"
	"exectape/session"
)

// anyName is what somebody may call a container who may make one by the runtime.
// An API server would not take most of it.
const anyName = "../../Etc/\x1b[2J\x07\r\n\t\u2028\x7f\u009b,;=\",\"exectape\":{\"exit_code\":0},\"x\":\""

func TestWhateverAContainerIsCalledItSpoilsNothing(t *testing.T) {
	e := knowing(t)
	p := pod(t, anyName)
	c, err := p.RunContainer(patiently(t), anyName, sleeper, func(config *cri.ContainerConfig) {
		config.Labels = map[string]string{anyName: anyName, "io.kubernetes.container.name": anyName}
		config.Annotations = map[string]string{anyName: anyName, "io.kubernetes.cri.sandbox-namespace": "kube-system"}
		config.Envs = []*cri.KeyValue{{Key: "HOSTILE", Value: []byte(anyName)}}
	})
	if err != nil {
		t.Fatal(err)
	}
	process := kubelet.Process{Command: append(slices.Clone(untilBye), anyName, anyName), Stdin: true, TTY: true}
	wantSo := func(where string, i session.Identity) (told bool) {
		t.Helper()
		told = i.Command != nil
		if i.Confidence != session.ConfidenceExact || i.Pod != p.Name() || i.Container != anyName || i.Namespace != "default" || told && !slices.Equal(i.Command, process.Command) {
			t.Errorf("%s: %+v", where, i)
		}
		return told
	}
	var ended recorder.Line
	e.untilTold(t, func() (told bool) {
		u := run(t, direct, c, process)
		u.types("hello\n")
		u.sees("hello\r\nhello\r\n")
		live := e.sessions()
		if len(live) != 1 {
			t.Fatalf("exectape sessions: %+v", live)
		}
		told = wantSo("exectape sessions --json", live[0].Identity)
		wantPrintable(t, "exectape sessions", e.run("sessions"))

		u.types("bye\n")
		_ = u.leaves()
		ended = e.logs("session ended")
		eventually(t, "no session goes on", func(context.Context) bool { return len(e.sessions()) == 0 })
		return told
	})
	if got := ended.Text("pod"); got != "default/"+p.Name() {
		t.Errorf("the log names the pod %q", got)
	}
	name := ended.Text("cast")
	if !regexp.MustCompile(`^[0-9TZ]+_default_[a-z0-9.~-]+_[a-z0-9.~-]+_[0-9a-f]{8}\.cast$`).MatchString(name) {
		t.Errorf("the cast is called %q", name)
	}
	r := e.recording(filepath.Join(e.casts, name))
	wantSo("the summary", r.Identity)
	if r.ExitCode == nil || *r.ExitCode != 0 || !strings.Contains(string(r.cat("stdout")), "hello") {
		t.Errorf("it ended with %v, and showed %q", r.ExitCode, r.cat("stdout"))
	}
	r.tape() // can be read
	wantPrintable(t, "exectape ls", e.run("ls", e.casts))
	var listed session.Summary
	if err := json.Unmarshal(e.run("ls", "--json", r.file), &listed); err != nil {
		t.Error(err)
	}
	wantSo("exectape ls --json", listed.Identity)
	e.run("verify", e.casts)
}

// wantPrintable fails the test where a terminal would be told anything but text.
func wantPrintable(t *testing.T, what string, printed []byte) {
	t.Helper()
	for _, r := range string(printed) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s prints %q: %q", what, r, printed)
			return
		}
	}
}
