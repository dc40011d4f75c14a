package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exectape/e2e/recorder"
	"exectape/session"
)

// exectape is the product, running.
type exectape struct {
	t       *testing.T
	program recorder.Program
	running *recorder.Recorder
	runs    []*recorder.Log // of this one and of those that were killed
	casts   string          // the directory
}

// newExectape configures an exectape in front of containerd, or of the targets
// that env names, which the test starts. It is stopped at the test's end, which
// must succeed and leave no rule behind.
func newExectape(t *testing.T, env ...string) *exectape {
	t.Helper()
	env = append([]string{
		"EXECTAPE_TARGETS=" + streamingServer.String(),
		"EXECTAPE_LOG_LEVEL=debug",
		"EXECTAPE_SINK_TIMEOUT=1m", // the disk may be a busy one
	}, env...)
	e := &exectape{t: t, program: recorder.Program{Path: binary, Env: env}}
	e.keepIn(filepath.Join(t.TempDir(), "casts"))
	e.answerOn(filepath.Join(shortDirectory(t), "socket"))
	before := rules(t)
	t.Cleanup(func() {
		if e.running == nil {
			return
		}
		e.stop()
		if slices.Contains(e.program.Env, closed) && !slices.Contains(e.program.Env, "EXECTAPE_IPTABLES=off") {
			e.removeRules() // which it leaves where they are
		}
		if after := rules(t); after != before {
			t.Errorf("the rules after exectape stopped:\n%s\nand before it was started:\n%s", after, before)
		}
		for _, log := range e.runs {
			if t.Failed() {
				t.Logf("exectape's log:\n%s", log)
			}
		}
	})
	return e
}

// start starts an exectape that newExectape returned.
func start(t *testing.T, env ...string) *exectape {
	t.Helper()
	e := newExectape(t, env...)
	e.start()
	return e
}

// keepIn says where the casts are to be kept.
func (e *exectape) keepIn(directory string) {
	e.casts = directory
	e.program.Env = append(e.program.Env, "EXECTAPE_DIR="+directory)
}

// answerOn says on which Unix socket it is to be asked how it is doing.
func (e *exectape) answerOn(socket string) {
	e.program.Env = append(e.program.Env, "EXECTAPE_SOCKET="+socket)
}

// shortDirectory makes a directory for the test's time in which a Unix socket's
// name is not too long: t.TempDir's have the test's name.
func shortDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "exectape-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

// on returns exectape as a subtest sees it, which has its own failures.
func (e *exectape) on(t *testing.T) *exectape {
	sub := *e
	sub.t = t
	return &sub
}

// start starts it, for the first time or after it was killed.
func (e *exectape) start() {
	e.t.Helper()
	running, err := e.program.Start(patiently(e.t))
	if err != nil {
		e.t.Fatal(err)
	}
	e.running = running
	e.runs = append(e.runs, running.Log)
}

// stop ends it in order. It does nothing if that was done already.
func (e *exectape) stop() {
	e.t.Helper()
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e.running.Terminate()
	if err := e.running.Wait(ctx); err != nil {
		e.t.Errorf("exectape run: %v", err)
		e.running.Kill()
	}
}

// closed is in the environment of an exectape that rather has no session than
// one that is not recorded.
const closed = "EXECTAPE_FAIL_POLICY=closed"

// removeRules does what an operator does who wants no exectape any more.
func (e *exectape) removeRules() {
	e.t.Helper()
	cmd := e.program.Command(context.Background(), "rules", "remove")
	if said, err := cmd.CombinedOutput(); err != nil {
		e.t.Errorf("exectape rules remove: %v\n%s", err, said)
	}
}

// logs waits for a line of the log that the test has not seen yet.
func (e *exectape) logs(message string) recorder.Line {
	e.t.Helper()
	line, err := e.running.Log.Next(patiently(e.t), message)
	if err != nil {
		e.t.Fatal(err)
	}
	return line
}

// run runs a command such as "ls" and returns what it prints.
func (e *exectape) run(args ...string) []byte {
	e.t.Helper()
	cmd := e.program.Command(patiently(e.t), args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("exectape %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return out
}

// recorded waits for the next session to end and returns its recording.
func (e *exectape) recorded() recording {
	e.t.Helper()
	ended := e.logs("session ended")
	return e.recording(filepath.Join(e.casts, filepath.Base(ended.Text("cast"))))
}

// recording returns the finished recording in a file.
func (e *exectape) recording(file string) recording {
	e.t.Helper()
	r := recording{exectape: e, file: file}
	beside, err := os.ReadFile(strings.TrimSuffix(file, ".cast") + ".json")
	if err != nil {
		e.t.Fatal(err)
	}
	if err := json.Unmarshal(beside, &r.Summary); err != nil {
		e.t.Fatal(err)
	}
	return r
}

// files returns the files in the casts' directory that end in suffix.
func (e *exectape) files(suffix string) []string {
	e.t.Helper()
	files, err := filepath.Glob(filepath.Join(e.casts, "*"+suffix))
	if err != nil {
		e.t.Fatal(err)
	}
	return files
}

// live returns the file of the only session that is going on.
func (e *exectape) live() string {
	e.t.Helper()
	files := e.files(".cast.part")
	if len(files) != 1 {
		e.t.Fatalf("live casts: %q, want one", files)
	}
	return files[0]
}

// finished returns the name of a live cast once it is finished.
func finished(live string) string { return strings.TrimSuffix(live, ".part") }

// wantNothingRecorded fails the test if there is a cast, finished or live.
func (e *exectape) wantNothingRecorded() {
	e.t.Helper()
	if files := slices.Concat(e.files(".cast"), e.files(".cast.part")); len(files) > 0 {
		e.t.Errorf("recorded as %q, want no recording", files)
	}
}

// rules returns the rules of this network, of both backends and families.
func rules(t *testing.T) string {
	t.Helper()
	if missing != nil {
		return "" // there are none that a test could have set
	}
	var all strings.Builder
	for _, program := range []string{"iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"} {
		list, err := exec.Command(program, "-w", "-t", "nat", "-S").Output()
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		all.WriteString(program + "\n" + string(list))
	}
	return all.String()
}

// A recording is a finished one: its file and what is said of it beside it.
type recording struct {
	session.Summary
	exectape *exectape
	file     string
}

// cat returns the bytes of a stream as exectape gives them back.
func (r recording) cat(stream string) []byte {
	r.exectape.t.Helper()
	return r.exectape.run("cat", "--stream", stream, r.file)
}
