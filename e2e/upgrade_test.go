package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"exectape/e2e/local"
	"exectape/e2e/recorder"
)

// upgrades are the policies, each with another backend.
var upgrades = []upgraded{
	{"open, by iptables-nft", []string{"EXECTAPE_IPTABLES=nft"}},
	{"closed, by iptables-legacy", []string{"EXECTAPE_IPTABLES=legacy", closed}},
}

type upgraded struct {
	name string
	env  []string
}

// command is that by which its rules are read ("save") or written ("restore").
func (u upgraded) command(does string) string {
	return "iptables-" + strings.TrimPrefix(u.env[0], "EXECTAPE_IPTABLES=") + "-" + does
}

// looks is the command by which its rules are looked at again and again: twice
// each time by nft, which reads two chains, and once by legacy.
func (u upgraded) looks() string {
	if slices.Contains(u.env, byNFT.env[0]) {
		return "iptables-nft"
	}
	return u.command("save")
}

// follow starts a younger exectape beside the one that runs, which it returns.
func (e *exectape) follow() (elder *recorder.Recorder) {
	e.t.Helper()
	elder = e.running
	e.answerOn(filepath.Join(shortDirectory(e.t), "socket"))
	e.start()
	return elder
}

// ends waits for an exectape to end in order.
func ends(t *testing.T, r *recorder.Recorder) {
	t.Helper()
	if err := r.Wait(patiently(t)); err != nil {
		t.Errorf("exectape run: %v", err)
	}
}

func TestSessionsNoticeNothingOfAnUpgrade(t *testing.T) {
	needsNode(t)
	const replacements, live, perSecond = 10, 50, 20
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			runtime := startLocal(t)
			e := start(t, append(u.env, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_LOG_LEVEL=info")...)
			var users []*user
			for i := range live {
				users = append(users, lasting(t, runtime))
				users[i].types(fmt.Sprintf("live %d begins\n", i))
				users[i].sees(fmt.Sprintf("live %d begins\n", i))
			}
			others := beginLoad(t, runtime, time.Second/perSecond)
			var elders []*recorder.Recorder
			for n := range replacements {
				elder := e.follow()
				for i, u := range users {
					u.types(fmt.Sprintf("live %d, upgrade %d\n", i, n))
					u.sees(fmt.Sprintf("live %d, upgrade %d\n", i, n))
				}
				elder.Terminate()
				elders = append(elders, elder)
			}
			begun := others.end()
			for _, u := range users {
				u.endsStdin()
				if got := u.leaves(); got.err != nil {
					t.Errorf("a session that was live during the upgrades: %v", got.err)
				}
			}
			for _, elder := range elders {
				ends(t, elder)
			}
			e.stop()

			t.Logf("%d sessions were live during %d upgrades, and %d began", live, replacements, begun)
			casts := e.texts()
			for n := range begun {
				wantOneCast(t, casts, fmt.Sprintf(`"%s"`, saying(n)))
			}
			for i := range live {
				for n := range replacements {
					wantOneCast(t, casts, fmt.Sprintf("live %d, upgrade %d\\n", i, n))
				}
			}
			if len(casts) != begun+live {
				t.Errorf("there are %d casts of %d sessions", len(casts), begun+live)
			}
		})
	}
}

// lasting opens a session that lasts as long as the test.
func lasting(t *testing.T, runtime *local.Server) *user {
	t.Helper()
	at, err := runtime.Exec(patiently(t), cat)
	if err != nil {
		t.Fatal(err)
	}
	return &user{t, direct.Open(t.Context(), at, cat)}
}

// texts returns what is in the casts behind their headers.
func (e *exectape) texts() []string {
	e.t.Helper()
	var all []string
	for _, file := range e.files(".cast") {
		text, err := os.ReadFile(file)
		if err != nil {
			e.t.Fatal(err)
		}
		_, events, _ := strings.Cut(string(text), "\n")
		all = append(all, events)
	}
	if live := e.files(".part"); len(live) > 0 {
		e.t.Errorf("casts that are not finished: %q", live)
	}
	return all
}

// wantOneCast fails the test unless text is in one cast.
func wantOneCast(t *testing.T, casts []string, text string) {
	t.Helper()
	n := 0
	for _, cast := range casts {
		if strings.Contains(cast, text) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%q is in %d casts, want one", text, n)
	}
}

func TestAYoungerThatIsKilledBeforeItIsReadyChangesNothing(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		for _, when := range []string{"1 before", "1 after", "2 before", "2 after"} {
			t.Run(u.name+"/restore "+when, func(t *testing.T) {
				e := start(t, u.env...)
				live := run(t, direct, app, cat)
				live.types("before\n")
				live.sees("before\n")

				younger := e.program
				younger.Env = append(younger.Env, sabotaged(t, u.command("restore"), when),
					"EXECTAPE_SOCKET="+filepath.Join(shortDirectory(t), "socket"))
				if _, err := younger.Start(patiently(t)); err == nil {
					t.Fatal("the younger became ready")
				}
				switch when {
				case "1 before":
				case "2 after": // it had the rules
					e.logs("rules taken back: the younger exectape has gone, or is about to")
				default: // new sessions go to the elder without a gap
					wantRecorded(e, hello(t, direct))
					e.logs("rules taken back: the younger exectape has gone, or is about to")
				}
				wantRecorded(e, hello(t, direct))
				live.types("after\n")
				live.sees("after\n")
				live.endsStdin()
				live.leaves()
				wantSame(t, "the live session's recorded stdout", e.recorded().cat("stdout"), []byte("before\nafter\n"))
			})
		}
	}
}

// wantRecorded waits for the recording of a hello that has ended.
func wantRecorded(e *exectape, got answer) {
	e.t.Helper()
	wantSame(e.t, "the user's stdout", got.stdout, []byte("hello\n"))
	wantSame(e.t, "the recorded stdout", e.recorded().cat("stdout"), []byte("hello\n"))
}

func TestAnElderThatStopsTouchesNoRuleOfTheYounger(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			e := start(t, u.env...)
			elder := e.follow()
			if _, err := elder.Log.Next(patiently(t), "replaced by a younger exectape: what is going on here goes on"); err != nil {
				t.Fatal(err)
			}
			before := rules(t)
			e.run("rules", "check")
			e.run("rules", "apply") // of which nobody has to know who has them
			elder.Terminate()
			ends(t, elder)
			if after := rules(t); after != before {
				t.Errorf("the rules after the elder has stopped:\n%s\nand before:\n%s", after, before)
			}
			wantRecorded(e, hello(t, direct))
		})
	}
}

func TestAnElderThatHangsIsReplacedAllTheSame(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			e := start(t, u.env...)
			if err := e.running.Freeze(); err != nil {
				t.Fatal(err)
			}
			elder := e.follow()
			wantRecorded(e, hello(t, direct))
			before := rules(t)
			if err := elder.Thaw(); err != nil {
				t.Fatal(err)
			}
			if _, err := elder.Log.Next(patiently(t), "replaced by a younger exectape: what is going on here goes on"); err != nil {
				t.Fatal(err)
			}
			elder.Terminate()
			ends(t, elder)
			if after := rules(t); after != before {
				t.Errorf("the rules after the elder has gone on and stopped:\n%s\nand before:\n%s", after, before)
			}
			wantRecorded(e, hello(t, direct))
		})
	}
}

func TestAnElderThatIsStoppedTooEarlyWaitsForTheYounger(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			runtime := startLocal(t)
			e := start(t, append(u.env, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_LOG_LEVEL=info")...)
			others := beginLoad(t, runtime, 100*time.Millisecond)
			elder := e.running
			slow := e.program.Env
			stopped := filepath.Join(t.TempDir(), "stopped")
			e.program.Env = append(slow, sabotaged(t, u.command("restore"), "1 waits "+stopped))
			early := make(chan struct{})
			go func() {
				defer close(early)
				eventually(t, "the younger's rules are behind the elder's", func(context.Context) bool {
					all := rules(t)
					return strings.Contains(all, "--to-ports 1015") && strings.Contains(all, "--to-ports 1016")
				})
				elder.Terminate()
				check(t, os.WriteFile(stopped, nil, 0o600))
			}()
			e.follow()
			<-early
			ends(t, elder)
			begun := others.end()
			e.stop()
			if casts := e.texts(); len(casts) != begun {
				t.Errorf("there are %d casts of %d sessions", len(casts), begun)
			}
		})
	}
}

func TestTwoThatStartAtOnceAgree(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			e := newExectape(t, u.env...)
			another := e.program
			another.Env = append(slices.Clone(another.Env), "EXECTAPE_SOCKET="+filepath.Join(shortDirectory(t), "socket"))
			both := make(chan *recorder.Recorder)
			for _, program := range []recorder.Program{e.program, another} {
				go func() {
					r, err := program.Start(patiently(t))
					if err != nil {
						t.Error(err)
					}
					both <- r
				}()
			}
			e.running = <-both
			second := <-both
			if e.running == nil || second == nil {
				t.FailNow()
			}
			eventually(t, "one gives way to the other", func(context.Context) bool {
				const message = "replaced by a younger exectape: what is going on here goes on"
				if e.running.Log.Count(message) > 0 {
					e.running, second = second, e.running
				}
				return second.Log.Count(message) > 0
			})
			second.Terminate()
			ends(t, second)
			wantRecorded(e, hello(t, direct))
		})
	}
}

func TestTheElderTakesBackWhatAYoungerLeaves(t *testing.T) {
	ways := map[string]func(*recorder.Recorder){"SIGTERM": (*recorder.Recorder).Terminate, "SIGKILL": (*recorder.Recorder).Kill}
	needsNode(t)
	for _, u := range upgrades {
		for name, leave := range ways {
			t.Run(u.name+"/"+name, func(t *testing.T) {
				e := start(t, u.env...)
				elder := e.follow()
				if _, err := elder.Log.Next(patiently(t), "replaced by a younger exectape: what is going on here goes on"); err != nil {
					t.Fatal(err)
				}
				younger := e.running
				wantRecorded(e, hello(t, direct))
				leave(younger)
				e.running = elder
				if name == "SIGTERM" { // it leaves no gap
					wantOneRecorded(t, e, elder, younger)
				}
				e.logs("rules taken back: the younger exectape has gone, or is about to")
				wantRecorded(e, hello(t, direct))
				if name == "SIGTERM" {
					ends(t, younger)
					wantRecorded(e, hello(t, direct))
				}
			})
		}
	}
}

// It looks at its rules again and again, and may be asked to stop meanwhile.
func TestWhoeverIsStoppedWhileItLooksAtItsRulesHandsThemOver(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			e := start(t, append(u.env, "EXECTAPE_CHECK_INTERVAL=500ms")...)
			usual := e.program.Env
			e.program.Env = append(usual, sabotaged(t, u.looks(), "8 stops"))
			elder := e.follow()
			younger := e.running
			e.running = elder
			ends(t, younger)
			if younger.Log.Count("replaced by a younger exectape: what is going on here goes on") == 0 {
				t.Error("the one that stopped did not wait for the other")
			}
			wantRecorded(e, hello(t, direct))
		})
	}
}

// wantOneRecorded opens a session that one of two exectapes has to record.
func wantOneRecorded(t *testing.T, e *exectape, of ...*recorder.Recorder) {
	t.Helper()
	before := len(e.files(".cast"))
	wantSame(t, "the user's stdout", hello(t, direct).stdout, []byte("hello\n"))
	eventually(t, "the session is recorded", func(context.Context) bool { return len(e.files(".cast")) == before+1 })
	for _, r := range of {
		if r.Log.Count("session ended") > 0 {
			_, _ = r.Log.Next(patiently(t), "session ended")
		}
	}
}

func TestOneForWhomThereIsNoPlaceWaitsUntilAnElderHasStopped(t *testing.T) {
	needsNode(t)
	for _, places := range []string{"127.0.0.1:1015", "127.0.0.1:1015,127.0.0.1:1016"} {
		t.Run(places, func(t *testing.T) {
			e := start(t, byNFT.env[0], "EXECTAPE_LISTEN="+places)
			elder, last := e.running, e.running
			if strings.Contains(places, ",") {
				e.follow()
				last = e.running
			}
			e.answerOn(filepath.Join(shortDirectory(t), "socket"))
			younger, err := e.program.Begin(patiently(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					younger.Kill()
				}
			})
			if _, err := younger.Log.Next(patiently(t), "other exectapes have every place of EXECTAPE_LISTEN: waiting for one of them to stop"); err != nil {
				t.Fatal(err)
			}
			wantRecorded(e, hello(t, direct))
			if younger.Log.Count("ready") > 0 {
				t.Error("it is ready, and has no place")
			}
			elder.Terminate()
			ends(t, elder)
			if _, err := younger.Log.Next(patiently(t), "ready"); err != nil {
				t.Fatal(err)
			}
			e.running, e.runs = younger, append(e.runs, younger.Log)
			wantRecorded(e, hello(t, direct))
			last.Terminate()
			ends(t, last)
		})
	}
}
