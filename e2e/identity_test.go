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
	// A runc that tells it lives for some 30 ms, which a busy machine may miss.
	if told < sessions*2/3 {
		t.Errorf("of %d sessions it is known of %d what they run", sessions, told)
	}
}

// untilTold has sessions until it is told of one what it runs. A runc that tells it
// lives for some 30 ms, which a busy machine may miss.
func (e *exectape) untilTold(t *testing.T, session func() (told bool)) {
	t.Helper()
	ctx := patiently(t)
	for !session() {
		if ctx.Err() != nil {
			t.Fatal("it is told of no session what it runs")
		}
	}
}

func TestWhatIsRecordedIsChosenByWhoseItIs(t *testing.T) {
	e := knowing(t, "EXECTAPE_RECORD=skip container=secret*; sizes container=pay*")
	p := pod(t, "chosen")
	passed, unrecorded := make(map[string]int64), make(map[string]int)
	say := kubelet.Process{Command: shell("echo hello; read line; echo $line; read line"), Stdin: true, TTY: true}
	for _, name := range []string{"secret", "pay", "web"} {
		c := container(t, p, name, sleeper)
		e.untilTold(t, func() (told bool) {
			u := run(t, direct, c, say)
			u.sees("hello\r\n")
			u.types("again\n")
			u.sees("again\r\nagain\r\n")
			told = slices.ContainsFunc(e.sessions(), func(s session.Summary) bool {
				return s.Identity.Container == name && slices.Equal(s.Identity.Command, say.Command)
			})
			u.types("bye\n")
			passed[name] = int64(len(u.leaves().stdout))
			e.logs("session ended")
			unrecorded[name]++
			return told
		})
	}
	if live := e.files(".part"); len(live) > 0 {
		t.Errorf("%q are not finished", live)
	}
	for _, file := range e.files(".cast") {
		r := e.recording(file)
		shown := string(r.cat("stdout"))
		unrecorded[r.Identity.Container]--
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
	if unrecorded["pay"] != 0 || unrecorded["web"] != 0 {
		t.Errorf("so many are missing: %v, want none but of secret", unrecorded)
	}
	e.run("verify", e.casts)
}
