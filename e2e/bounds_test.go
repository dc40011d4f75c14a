package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"exectape/e2e/kubelet"
)

// policies are all of them.
var policies = []string{"EXECTAPE_FAIL_POLICY=open", closed}

// byEachPolicy runs a test for each policy, with exectape on the redirect way.
func byEachPolicy(t *testing.T, test func(t *testing.T, policy string)) {
	t.Helper()
	needsNode(t)
	for _, policy := range policies {
		t.Run(policy, func(t *testing.T) { test(t, policy) })
	}
}

// An attempt is a session that may have to wait.
type attempt chan answer

// tries begins a session that says hello, which may succeed or not.
func tries(t *testing.T) attempt {
	t.Helper()
	u := run(t, direct, app, kubelet.Process{Command: []string{"echo", "hello"}})
	got := make(attempt, 1)
	go func() { got <- u.leaves() }()
	return got
}

// waits reports whether the session has not ended after a while. That it is so
// for long can't be shown; that it was so once can.
func (a attempt) waits(t *testing.T, while time.Duration) bool {
	t.Helper()
	select {
	case got := <-a:
		a <- got
		return false
	case <-time.After(while):
		return true
	}
}

// With closed no session ever succeeds that is in no cast; with open sessions
// pass within the lease. In either case sessions that go on do so, and all is
// well again when there are descriptors.
func TestWhatBecomesOfSessionsWhenExectapeHasNoDescriptorsLeft(t *testing.T) {
	byEachPolicy(t, func(t *testing.T, policy string) {
		e := start(t, append(byNFT.env, policy)...)
		for spare := range 7 { // a session takes several, one after the other
			t.Run(fmt.Sprintf("%d left", spare), func(t *testing.T) {
				e := e.on(t)
				live := run(t, direct, app, cat)
				live.types("before\n")
				live.sees("before\n")
				before := len(e.files(".json")) // which is there last

				restore, err := e.running.LimitDescriptors(spare)
				if err != nil {
					t.Fatal(err)
				}
				var succeeded int
				if policy == closed {
					waiting := tries(t)
					waiting.waits(t, time.Second)
					live.types("during\n")
					live.sees("during\n")
					check(t, restore())
					if got := <-waiting; got.err == nil {
						succeeded = 1
						wantSame(t, "the stdout of a session that had to wait", got.stdout, []byte("hello\n"))
					}
				} else {
					wantServed(t)
					live.types("during\n")
					live.sees("during\n")
					check(t, restore())
				}
				live.endsStdin()
				wantSame(t, "the stdout of a session that went on", live.leaves().stdout, []byte("before\nduring\n"))
				e.probe(true, "lease: ok")
				wantSame(t, "the stdout of the next session", hello(t, direct).stdout, []byte("hello\n"))
				eventually(t, "all that succeeded is recorded", func(context.Context) bool {
					return len(e.files(".json"))-before >= 2+succeeded
				})
			})
		}
		for _, summary := range e.files(".json") {
			file := strings.TrimSuffix(summary, ".json") + ".cast"
			if r := e.recording(file); policy == closed && len(r.Gaps) > 0 {
				t.Errorf("%s lacks something: %v", file, r.Gaps)
			}
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantServed waits until a session succeeds, be it recorded or past exectape.
// Each may have to wait for as long as the lease takes, and then a little.
func wantServed(t *testing.T) {
	t.Helper()
	began := time.Now()
	eventually(t, "a session succeeds", func(ctx context.Context) bool {
		a := tries(t)
		select {
		case got := <-a:
			return got.err == nil && string(got.stdout) == "hello\n"
		case <-time.After(5 * time.Second): // it waits to be accepted: the next will not
			return false
		}
	})
	t.Logf("a session succeeds after %v", time.Since(began).Round(time.Millisecond))
}

// A queue of so many, and one more, is full.
const acceptQueue = 16

func TestWhatBecomesOfSessionsWhenTheAcceptQueueIsFull(t *testing.T) {
	byEachPolicy(t, func(t *testing.T, policy string) {
		limitQueues(t, acceptQueue)
		e := start(t, append(byNFT.env, policy)...)
		check(t, e.running.Freeze())
		thaw := func() { check(t, e.running.Thaw()) }
		t.Cleanup(thaw)
		silent := fillQueue(t)
		var waiting attempt
		if policy == closed {
			waiting = tries(t)
			if !waiting.waits(t, time.Second) {
				t.Error("a session that nobody accepts does not wait")
			}
		} else {
			wantPassing(t)
		}
		thaw()
		if policy == closed {
			wantSame(t, "the stdout of the session that had to wait", (<-waiting).stdout, []byte("hello\n"))
			wantSame(t, "its recorded stdout", e.recorded().cat("stdout"), []byte("hello\n"))
		}
		e.probe(true, "lease: ok")
		hello(t, direct)
		wantSame(t, "the next session's recorded stdout", e.recorded().cat("stdout"), []byte("hello\n"))
		for _, conn := range silent {
			_ = conn.Close()
		}
	})
}

// limitQueues makes n the most connections that wait to be accepted by whoever
// begins to listen in this network, for the test's time.
func limitQueues(t *testing.T, n int) {
	t.Helper()
	const file = "/proc/sys/net/core/somaxconn"
	before, err := os.ReadFile(file)
	check(t, err)
	check(t, os.WriteFile(file, fmt.Append(nil, n), 0))
	t.Cleanup(func() { check(t, os.WriteFile(file, before, 0)) })
}

// fillQueue connects until nobody is let in any more.
func fillQueue(t *testing.T) (silent []net.Conn) {
	t.Helper()
	for range 10 * acceptQueue {
		conn, err := net.DialTimeout("tcp", streamingServer.String(), 200*time.Millisecond)
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return silent
		}
		check(t, err)
		silent = append(silent, conn)
	}
	t.Fatalf("%d connections wait to be accepted, and there is still room", len(silent))
	return nil
}

// The kernel's way to say that a limit of memory is reached is SIGKILL. So it is
// as with any other death: what was seen is in the casts.
func TestWhatBecomesOfSessionsWhenTheMemoryLimitIsReached(t *testing.T) {
	byEachPolicy(t, func(t *testing.T, policy string) {
		e := start(t, append(byNFT.env, policy)...)
		remove, err := e.running.LimitMemory(4 << 20)
		if err != nil {
			t.Skip(err)
		}
		opening, giveUp := context.WithCancel(patiently(t))
		defer giveUp()
		var users []*kubelet.Session
		for len(users) < 300 && !dead(e) { // a few take more than that
			users = append(users, begins(opening, t))
		}
		if err := e.running.Wait(patiently(t)); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("exectape ended: %v; want it killed", err)
		}
		giveUp() // a client may take half a minute to notice
		check(t, remove())
		var seen int
		for _, u := range users {
			_ = u.Wait()
			seen += len(u.Stdout.Bytes())
		}
		if policy == closed {
			if got := hello(t, direct); got.err == nil || !strings.HasSuffix(got.err.Error(), "connection refused") {
				t.Errorf("a session without exectape: %v; want it refused", got.err)
			}
		} else {
			wantPassing(t)
		}
		// One in which nothing is written yet is of a session that had not begun,
		// and is removed.
		unfinished := slices.DeleteFunc(e.files(".cast.part"), func(file string) bool {
			info, err := os.Stat(file)
			check(t, err)
			return info.Size() == 0
		})
		e.start()
		for range unfinished {
			e.logs("cast left behind finished")
		}
		var recorded int
		for _, file := range unfinished {
			recorded += len(e.recording(finished(file)).cat("stdout"))
		}
		if recorded < seen {
			t.Errorf("the users saw %d bytes, and %d are in the casts", seen, recorded)
		}
		hello(t, direct)
		wantSame(t, "the next session's recorded stdout", e.recorded().cat("stdout"), []byte("hello\n"))
	})
}

// begins begins a session that goes on, and waits until its user has seen
// something, or no longer than a moment.
func begins(ctx context.Context, t *testing.T) *kubelet.Session {
	t.Helper()
	u, err := app.Exec(ctx, kubelet.Process{Command: shell("echo seen; exec cat"), Stdin: true})
	check(t, err)
	session := direct.Open(ctx, u, cat)
	moment, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = session.Until(moment, "seen\n") // it doesn't if exectape is dead by then
	return session
}

// dead reports whether exectape has ended.
func dead(e *exectape) bool {
	ended, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	return !errors.Is(e.running.Wait(ended), context.DeadlineExceeded)
}
