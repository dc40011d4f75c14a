package e2e_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exectape/e2e/kubelet"
	"exectape/session"
)

// cat says what it is told.
var cat = kubelet.Process{Command: []string{"cat"}, Stdin: true}

func TestASessionOutlivesSIGTERM(t *testing.T) {
	byEachWay(t, func(t *testing.T, w way, e *exectape) {
		u := run(t, w.kubelet, app, cat)
		u.types("before\n")
		u.sees("before\n")
		e.running.Terminate()
		wantRefused(t, w)
		u.types("after\n")
		u.sees("after\n")
		u.endsStdin()
		got := u.leaves()
		e.recorded().wantAnswer(got)
	})
}

func TestWhileItDrainsNewSessionsGoByUnrecorded(t *testing.T) {
	needsNode(t)
	e := start(t, byNFT.env...)
	live := run(t, direct, app, cat)
	live.types("x")
	live.sees("x")
	e.running.Terminate()
	wantRefused(t, byNFT)

	late := once(kubelet.Process{Command: []string{"echo", "late"}})(t, direct)
	wantSame(t, "a new session's stdout", late.stdout, []byte("late\n"))
	live.endsStdin()
	live.leaves()
	e.stop()
	if casts := e.files(".cast"); len(casts) != 1 {
		t.Errorf("the casts are %q, want one, of the session that was there before", casts)
	}
}

// What goes on is then as after any other death.
func TestASecondSIGTERMEndsExectapeAtOnce(t *testing.T) {
	needsNode(t)
	e := start(t, byNFT.env...)
	u := run(t, direct, app, cat)
	u.types("seen\n")
	u.sees("seen\n")
	e.running.Terminate()
	e.logs("draining")
	eventually(t, "it has ended", func(context.Context) bool {
		_ = e.running.Signal(syscall.SIGTERM)
		return e.running.Ended()
	})
	u.leaves()
	e.start()
	r := e.recording(filepath.Join(e.casts, e.logs("cast left behind finished").Text("cast")))
	if r.EndReason != session.EndInterrupted {
		t.Errorf("the session ended as %s, want %s", r.EndReason, session.EndInterrupted)
	}
	wantSame(t, "the recorded stdout", r.cat("stdout"), []byte("seen\n"))
}

// wantRefused waits until the entry that a way leads to is closed.
func wantRefused(t *testing.T, w way) {
	t.Helper()
	entry := listener.String()
	if w.kubelet.Proxy != nil {
		entry = w.kubelet.Proxy.Host
	}
	ctx := patiently(t)
	for again := time.NewTicker(10 * time.Millisecond); ; <-again.C {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", entry)
		if errors.Is(err, syscall.ECONNREFUSED) {
			again.Stop()
			return
		}
		if err == nil {
			_ = conn.Close()
		}
		if ctx.Err() != nil {
			t.Fatalf("%s is still open", entry)
		}
	}
}

func TestASessionThatOutlivesTheDrainIsToldSo(t *testing.T) {
	needsNode(t)
	for _, w := range ways {
		for name, process := range map[string]kubelet.Process{"a pipe": cat, "a terminal": terminal} {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				e := start(t, append(w.env, "EXECTAPE_DRAIN_TIMEOUT=100ms")...)
				u := run(t, w.kubelet, app, process)
				u.types("hello\n")
				u.sees("hello")
				e.running.Terminate()
				got := u.leaves()

				if _, told := kubelet.ExitCode(got.err); told || !strings.HasPrefix(got.err.Error(), "exectape: ") {
					t.Errorf("the user is told %v, want a sentence from exectape", got.err)
				}
				r := e.recorded()
				if r.EndReason != session.EndByUs {
					t.Errorf("the session ended as %q, want %q", r.EndReason, session.EndByUs)
				}
				wantBegins(t, "the recorded stdout", r.cat("stdout"), got.stdout)
			})
		}
	}
}
