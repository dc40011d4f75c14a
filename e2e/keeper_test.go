package e2e_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exectape/e2e/kubelet"
)

// redirects are the ways that rules lead.
var redirects = []way{byNFT, byLegacy}

// hello is over at once.
var hello = once(kubelet.Process{Command: []string{"echo", "hello"}})

// table runs the command of a way's backend on table nat or another.
func (w way) table(t *testing.T, args ...string) {
	t.Helper()
	program := "iptables-" + strings.TrimPrefix(w.env[0], "EXECTAPE_IPTABLES=")
	if said, err := exec.Command(program, append([]string{"-w"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, said)
	}
}

// tracked makes the kernel track connections for somebody else too, as on every
// node with a kubelet, for the test's time.
func (w way) tracked(t *testing.T) {
	t.Helper()
	rule := []string{"INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"}
	w.table(t, append([]string{"-A"}, rule...)...)
	t.Cleanup(func() { w.table(t, append([]string{"-D"}, rule...)...) })
}

func TestRulesThatAnotherProgramFlushesComeBackAndNoSessionIsCut(t *testing.T) {
	needsNode(t)
	for _, w := range redirects {
		for _, policy := range []string{"EXECTAPE_FAIL_POLICY=open", closed} {
			t.Run(w.name+"/"+policy, func(t *testing.T) {
				w.tracked(t)
				e := start(t, append(w.env, policy)...)
				live := run(t, direct, app, cat)
				live.types("before\n")
				live.sees("before\n")
				for range 5 {
					w.table(t, "-t", "nat", "-F")
					live.types("during\n")
					live.sees("during\n")
					line := e.logs("rules repaired: sessions may have passed unrecorded")
					if problems := line.Text("problems"); !strings.Contains(problems, "the jump from OUTPUT to EXECTAPE is missing") {
						t.Errorf("what was missing: %s", problems)
					}
					hello(t, direct)
					wantSame(t, "a new session's recorded stdout", e.recorded().cat("stdout"), []byte("hello\n"))
				}
				live.endsStdin()
				live.leaves()
				wantSame(t, "the live session's recorded stdout", e.recorded().cat("stdout"), []byte("before\n"+strings.Repeat("during\n", 5)))
			})
		}
	}
}

func TestRepairsWaitForTheXtablesLock(t *testing.T) {
	needsNode(t)
	e := start(t, append(byLegacy.env, closed)...)
	lock, err := os.OpenFile("/run/xtables.lock", os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	// Whoever damages the rules does not care for the lock.
	t.Setenv("XTABLES_LOCKFILE", filepath.Join(t.TempDir(), "another.lock"))
	byLegacy.table(t, "-t", "nat", "-D", "OUTPUT", "1")
	t.Setenv("XTABLES_LOCKFILE", "/run/xtables.lock")
	said := e.logs("rules can't be repaired").Text("error")
	if !strings.Contains(said, "xtables lock") {
		t.Errorf("the log says that %q", said)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	e.logs("rules repaired: sessions may have passed unrecorded")
	wantRecorded(e, hello(t, direct))
}

// It is in the docs because it can't be helped: without the last rule that
// needs it, the kernel does not know any more what a connection's other address
// was. What flushed the table ended the session, not we.
func TestWhereNobodyElseTracksConnectionsAFlushCutsSessions(t *testing.T) {
	needsNode(t)
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, closed, "EXECTAPE_CHECK_INTERVAL=10s")...)
			live := run(t, direct, app, cat)
			live.types("before\n")
			live.sees("before\n")
			w.table(t, "-t", "nat", "-F")
			// Its client takes what comes of that for the session's end. If a packet
			// was late, it has come already, and nothing can be typed.
			_ = live.session.Send([]byte("during\n"))
			wantSame(t, "the stdout of a session that is cut", live.leaves().stdout, []byte("before\n"))
			e.recorded()
			e.logs("rules repaired: sessions may have passed unrecorded")
			hello(t, direct)
			e.recorded()
		})
	}
}

func TestWithOpenAKillLetsSessionsPassWithinTheLease(t *testing.T) {
	needsNode(t)
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, w.env...)
			hello(t, direct)
			e.recorded()
			e.running.Kill()
			wantPassing(t)
			if casts := e.files(".cast"); len(casts) != 1 {
				t.Errorf("the casts are %q, want one, of the session before", casts)
			}
			e.start()
			hello(t, direct)
			e.recorded()
		})
	}
}

func TestWithClosedSessionsAreRefusedUntilExectapeIsBack(t *testing.T) {
	ends := map[string]func(*exectape){
		"SIGKILL": func(e *exectape) { e.running.Kill() },
		"SIGTERM": (*exectape).stop,
	}
	needsNode(t)
	for _, w := range redirects {
		for name, end := range ends {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				e := start(t, append(w.env, closed)...)
				hello(t, direct)
				e.recorded()
				end(e)
				if got := hello(t, direct); got.err == nil || !strings.HasSuffix(got.err.Error(), "connection refused") {
					t.Errorf("a session without exectape: %v, %q; want it refused", got.err, got.stdout)
				}
				e.start()
				hello(t, direct)
				e.recorded()
				e.stop()
				e.removeRules()
				wantSame(t, "the stdout after exectape rules remove", hello(t, direct).stdout, []byte("hello\n"))
			})
		}
	}
}

func TestWithClosedSessionsWaitForAnExectapeThatIsStopped(t *testing.T) {
	needsNode(t)
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, closed)...)
			live := run(t, direct, app, cat)
			live.types("before\n")
			live.sees("before\n")
			if err := e.running.Freeze(); err != nil {
				t.Fatal(err)
			}
			late := tries(t)
			live.types("after\n")
			if !late.waits(t, 100*time.Millisecond) {
				t.Error("a session that begins meanwhile ends")
			}
			if err := e.running.Thaw(); err != nil {
				t.Fatal(err)
			}
			wantRecorded(e, <-late)
			live.sees("after\n")
			live.endsStdin()
			live.leaves()
			wantSame(t, "the recorded stdout", e.recorded().cat("stdout"), []byte("before\nafter\n"))
		})
	}
}

// They lead to nobody yet.
func TestRulesThatAreAppliedAtBootRefuseSessionsIfThatIsThePolicy(t *testing.T) {
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			byEachPolicy(t, func(t *testing.T, policy string) {
				e := newExectape(t, append(w.env, policy)...)
				e.run("rules", "apply")
				got := hello(t, direct)
				switch {
				case policy == closed && (got.err == nil || !strings.HasSuffix(got.err.Error(), "connection refused")):
					t.Errorf("a session before exectape is there: %v, %q; want it refused", got.err, got.stdout)
				case policy != closed:
					wantSame(t, "the stdout of a session before exectape is there", got.stdout, []byte("hello\n"))
				}
				e.start()
				wantRecorded(e, hello(t, direct))
			})
		})
	}
}

func TestALeaseThatLapsesWhileExectapeLivesIsTold(t *testing.T) {
	needsNode(t)
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, "EXECTAPE_LEASE=2s")...)
			live := run(t, direct, app, cat)
			live.types("before\n")
			live.sees("before\n")
			if err := e.running.Freeze(); err != nil {
				t.Fatal(err)
			}
			wantPassing(t)
			if err := e.running.Thaw(); err != nil {
				t.Fatal(err)
			}
			e.logs("lease renewed after it had lapsed: sessions may have passed unrecorded")
			live.types("after\n")
			live.sees("after\n")
			live.endsStdin()
			live.leaves()
			wantSame(t, "the recorded stdout", e.recorded().cat("stdout"), []byte("before\nafter\n"))
			hello(t, direct)
			e.recorded()
		})
	}
}

// wantPassing waits until the runtime is reached past exectape, which answers
// nothing: it is dead, or frozen.
func wantPassing(t *testing.T) {
	t.Helper()
	began := time.Now()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for ctx := patiently(t); ctx.Err() == nil; <-again.C {
		// One that began before the lease had lapsed is led to exectape for ever.
		conn, err := net.DialTimeout("tcp", streamingServer.String(), 200*time.Millisecond)
		if err != nil {
			continue
		}
		_, _ = io.WriteString(conn, "GET /exec/x HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, _ := conn.Read(make([]byte, 1))
		_ = conn.Close()
		if n > 0 {
			t.Logf("the runtime is reached after %v", time.Since(began).Round(time.Millisecond))
			if got := hello(t, direct); got.err != nil || string(got.stdout) != "hello\n" {
				t.Errorf("a session that passes: %v, %q on stdout, %q on stderr", got.err, got.stdout, got.stderr)
			}
			return
		}
	}
	t.Fatal("the lease does not lapse")
}
