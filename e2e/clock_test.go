package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exectape/e2e/recorder"
)

// jumpsBack is what is added to the built exectape: at SIGUSR1 its wall clock
// goes back by an hour, and its monotonic clock goes on, as when a machine's
// clock is set.
const jumpsBack = `package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func init() {
	jump := make(chan os.Signal, 1)
	signal.Notify(jump, syscall.SIGUSR1)
	go func() {
		for range jump {
			time.WallOffset.Add(-3600)
			os.Stderr.WriteString("{\"msg\":\"the clock has jumped\"}\n")
		}
	}()
}
`

// withAClockThatJumps builds an exectape over a copy of package time in which
// the wall clock has an offset.
func withAClockThatJumps(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const reads = "	sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), "func Now() Time {\n"+reads) != 1 {
		t.Fatalf("%s reads its clock otherwise than this test knows", original)
	}
	changed := strings.Replace(string(source), "func Now() Time {\n"+reads,
		"// WallOffset is in seconds.\nvar WallOffset atomic.Int64\n\nfunc Now() Time {\n"+reads+"	sec += WallOffset.Load()\n", 1)
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"sync/atomic\"\n", 1)
	product, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	replaced := map[string]string{}
	for at, text := range map[string]string{original: changed, filepath.Join(product, "cmd/exectape/clock_jumps.go"): jumpsBack} {
		replaced[at] = filepath.Join(dir, filepath.Base(at))
		if err := os.WriteFile(replaced[at], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program, err = recorder.Build(t.Context(), "..", dir, "-overlay", list) // the whole standard library anew
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func TestAClockThatJumpsBackAnHourEndsNothing(t *testing.T) {
	needsNode(t)
	program := withAClockThatJumps(t)
	for _, policy := range []string{"EXECTAPE_FAIL_POLICY=open", closed} {
		t.Run(policy, func(t *testing.T) {
			// Nor does a busy machine keep exectape from renewing it for so long.
			const lease = 10 * time.Second
			e := newExectape(t, append(byNFT.env, policy, "EXECTAPE_LEASE="+lease.String())...)
			e.program.Path = program
			e.start()
			live := run(t, direct, app, cat)
			live.types("before\n")
			live.sees("before\n")
			if err := e.running.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			e.logs("the clock has jumped")
			// Longer than a lease, so that one has been renewed by the new clock.
			for end := time.Now().Add(lease + time.Second); time.Now().Before(end); {
				live.types("x\n")
				live.sees("x\n")
				hello(t, direct)
				wantSame(t, "a new session's recorded stdout", e.recorded().cat("stdout"), []byte("hello\n"))
			}
			live.endsStdin()
			live.leaves()
			if got := e.recorded().cat("stdout"); !strings.HasPrefix(string(got), "before\nx\nx\n") {
				t.Errorf("the live session's recorded stdout = %q", got)
			}
			e.run("verify")
			e.probe(true, "lease: ok")
			if log := e.running.Log.String(); strings.Contains(log, "lapsed") || strings.Contains(log, "repaired") {
				t.Error("the rules or the lease were thought to have been missing")
			}
		})
	}
}
