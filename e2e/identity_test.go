package e2e_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/e2e/node"
	"exectape/session"
)

// knowing starts an exectape that may read the runtime's state.
func knowing(t *testing.T, env ...string) *exectape {
	t.Helper()
	needsNode(t)
	return start(t, append([]string{"EXECTAPE_RUNTIME_STATE=" + runtime.State(), "TMPDIR=" + runtime.TMPDIR()}, env...)...)
}

// pod runs a pod of that name, more or less, until the test ends.
func pod(t *testing.T, name string) *node.Pod {
	t.Helper()
	p, err := runtime.RunPod(patiently(t), name+"-"+strings.ToLower(rand.Text()[:5]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

// container runs a container whose own process is that.
func container(t *testing.T, p *node.Pod, name string, process kubelet.Process) *node.Container {
	t.Helper()
	c, err := p.RunContainer(patiently(t), name, process)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var sleeper = kubelet.Process{Command: []string{"sleep", "3600"}}

// untilBye says what it is told.
var untilBye = shell(`until [ "$line" = bye ]; do read line; echo $line; done`)

func TestASessionIsKnownByItsContainer(t *testing.T) {
	e := knowing(t)
	sessions, told := 0, 0
	for _, name := range []string{"web", "db"} {
		p := pod(t, name)
		for _, process := range []kubelet.Process{
			{Command: untilBye, Stdin: true, TTY: true},
			{Command: untilBye, Stdin: true},
			{Command: shell("echo hello"), TTY: true},
			{Command: shell("echo hello")},
			{Command: []string{"true"}},
			{Command: shell("exit 3"), TTY: true},
		} {
			t.Run(fmt.Sprintf("%s, stdin %v, tty %v, %q", name, process.Stdin, process.TTY, process.Command), func(t *testing.T) {
				c := container(t, p, "app-"+strings.ToLower(rand.Text()[:5]), sleeper)
				u := run(t, direct, c, process)
				if process.Stdin {
					eventually(t, "it is known while it goes on", func(context.Context) bool {
						u.types("hello\n")
						u.sees("hello")
						live := e.on(t).sessions()
						return len(live) == 1 && live[0].Identity.Confidence == session.ConfidenceExact
					})
					u.types("bye\n")
				}
				_ = u.leaves()
				r := e.on(t).recorded()
				if runtime.CRIO && !process.Stdin && r.Identity.Confidence == session.ConfidenceUnknown {
					return // it had ended before anybody looked
				}
				if i := r.Identity; i.ContainerID != c.ID() || i.Confidence != session.ConfidenceExact || i.Pod != p.Name() || i.Namespace != "default" {
					t.Errorf("identity %+v, want container %s of pod %s", i, c.ID(), p.Name())
				}
				sessions++
				if i := r.Identity; len(i.Command) > 0 {
					told++
					if !slices.Equal(i.Command, process.Command) || i.User != "0:0" {
						t.Errorf("it is known to run %q as %s, want %q as 0:0", i.Command, i.User, process.Command)
					}
				}
			})
		}
	}
	// A runc that tells it lives for some 30 ms, which a busy machine may miss once.
	if told < sessions-1 {
		t.Errorf("of %d sessions it is known of %d what they run", sessions, told)
	}
}

func TestWhatIsRecordedIsChosenByWhoseItIs(t *testing.T) {
	e := knowing(t, "EXECTAPE_RECORD=skip container=secret*; sizes container=pay*")
	p := pod(t, "chosen")
	passed := make(map[string]int64)
	say := kubelet.Process{Command: shell("echo hello; read line; echo $line"), Stdin: true, TTY: true}
	for _, name := range []string{"secret", "pay", "web"} {
		u := run(t, direct, container(t, p, name, sleeper), say)
		u.sees("hello")
		if told := string(e.run("sessions", "--json")); !strings.Contains(told, "read line") {
			t.Errorf("what the session in %s runs is not told while it lasts: %s", name, told)
		}
		u.types("bye\n")
		passed[name] = int64(len(u.leaves().stdout))
		e.logs("session ended")
	}
	files := e.files(".cast")
	if len(files) != 2 || len(e.files(".part")) != 0 {
		t.Fatalf("recorded as %q, want those of pay and web", files)
	}
	for _, file := range files {
		r := e.recording(file)
		shown := string(r.cat("stdout"))
		switch r.Identity.Container {
		case "web":
			if !strings.Contains(shown, "hello") || len(r.Gaps) > 0 {
				t.Errorf("of web %q was recorded, but for %v", shown, r.Gaps)
			}
		case "pay":
			want := session.Loss{Bytes: passed["pay"], Reason: "EXECTAPE_RECORD: stdout"}
			if shown != "" || len(r.Gaps) != 1 || r.Gaps[0] != want {
				t.Errorf("of pay %q was recorded, but for %v, want %v", shown, r.Gaps, want)
			}
			for _, kept := range []string{file, strings.TrimSuffix(file, ".cast") + ".json"} {
				if text, err := os.ReadFile(kept); err != nil || strings.Contains(string(text), "read line") {
					t.Errorf("%s has what ran in pay: %v\n%s", filepath.Base(kept), err, text)
				}
			}
		default:
			t.Errorf("a session of %s was recorded", r.Identity.Container)
		}
	}
	e.run("verify", e.casts)
}
