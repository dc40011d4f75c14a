package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"exectape/e2e/kubelet"
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

// restore is the command by which its rules are written.
func (u upgraded) restore() string {
	return "iptables-" + strings.TrimPrefix(u.env[0], "EXECTAPE_IPTABLES=") + "-restore"
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

// A load is sessions that begin one after the other, each of which says its
// number.
type load struct {
	t       *testing.T
	runtime *local.Server
	stop    context.CancelFunc
	begun   chan int
	running sync.WaitGroup
}

func beginLoad(t *testing.T, runtime *local.Server, every time.Duration) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{t: t, runtime: runtime, stop: stop, begun: make(chan int, 1)}
	go func() {
		again := time.NewTicker(every)
		defer again.Stop()
		for n := 0; ; n++ {
			select {
			case <-again.C:
				l.running.Go(func() { l.session(n) })
			case <-ctx.Done():
				l.begun <- n
				return
			}
		}
	}()
	return l
}

// end begins no more, waits for those that began, and returns how many did.
func (l *load) end() int {
	l.stop()
	n := <-l.begun
	l.running.Wait()
	return n
}

func saying(n int) string { return fmt.Sprintf("session %d", n) }

func (l *load) session(n int) {
	ctx := context.WithoutCancel(l.t.Context())
	echo := kubelet.Process{Command: []string{"printf", "%s", saying(n)}}
	at, err := l.runtime.Exec(ctx, echo)
	if err != nil {
		l.t.Errorf("session %d: %v", n, err)
		return
	}
	s := direct.Open(ctx, at, echo)
	if err := s.Wait(); err != nil || string(s.Stdout.Bytes()) != saying(n) {
		l.t.Errorf("session %d: %v, %q", n, err, s.Stdout.Bytes())
	}
}

// A saboteur stands in for an iptables-restore, and at one of its runs kills the
// exectape that runs it, or takes its time.
const saboteur = `#!/bin/sh
dir=${0%/*}
echo >> $dir/count
n=$(wc -l < $dir/count)
[ "$n before" = "$(cat $dir/when)" ] && kill -9 $PPID && exit 1
"$(cat $dir/real)" "$@"
code=$?
[ "$n waits" = "$(cat $dir/when)" ] && sleep 2
[ "$n after" = "$(cat $dir/when)" ] && kill -9 $PPID
exit $code
`

// sabotaged returns a PATH with a saboteur first.
func sabotaged(t *testing.T, program, when string) string {
	t.Helper()
	found, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{program: saboteur, "when": when, "real": found} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH")
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
				younger.Env = append(younger.Env, sabotaged(t, u.restore(), when),
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
			e.program.Env = append(slow, sabotaged(t, u.restore(), "1 waits"))
			early := make(chan struct{})
			go func() {
				defer close(early)
				eventually(t, "the younger's rules are behind the elder's", func(context.Context) bool {
					all := rules(t)
					return strings.Contains(all, "--to-ports 1015") && strings.Contains(all, "--to-ports 1016")
				})
				elder.Terminate()
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

func TestAPortThatAStrangerHasIsAnError(t *testing.T) {
	needsNode(t)
	for _, at := range []netip.AddrPort{listener, listener6} {
		t.Run(at.String(), func(t *testing.T) {
			stranger, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
			if err != nil {
				t.Fatal(err)
			}
			defer stranger.Close()
			e := newExectape(t)
			_, err = e.program.Start(patiently(t))
			if err == nil || !strings.Contains(err.Error(), "by something that is no exectape; end that, or set EXECTAPE_LISTEN to other ports") {
				t.Errorf("exectape starts: %v", err)
			}
			_ = stranger.Close()
			e.start()
			wantRecorded(e, hello(t, direct))
		})
	}
}

// squat is for perl, which Debian always has.
const squat = `use Socket;
for my $port (1015, 1016) {
	socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die;
	bind($s, pack("S", AF_UNIX) . "\0exectape/$port") or die;
	listen($s, 100) or die;
	push @all, $s;
}
$| = 1; print "x"; <STDIN>`

func TestASquatterOfTheNamesIsNamedAndChangesNothing(t *testing.T) {
	needsNode(t)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			pid := squatNames(t)
			e := start(t, u.env...)
			complaint := e.logs("other exectapes will not be told of this one").Text("error")
			if want := fmt.Sprintf("held by user %d (process %d)", nobody, pid); !strings.Contains(complaint, want) {
				t.Errorf("the complaint is %q, want one with %q", complaint, want)
			}
			wantRecorded(e, hello(t, direct))
			elder := e.follow()
			wantRecorded(e, hello(t, direct))
			if _, err := elder.Log.Next(patiently(t), "replaced by a younger exectape: what is going on here goes on"); err != nil {
				t.Fatal(err)
			}
			elder.Terminate()
			ends(t, elder)
			wantRecorded(e, hello(t, direct))
		})
	}
}

// squatNames has somebody hold the names of all ports, for the test's time.
func squatNames(t *testing.T) (pid int) {
	t.Helper()
	squatter := exec.CommandContext(t.Context(), "perl", "-e", squat)
	squatter.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := squatter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := squatter.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := squatter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = squatter.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return squatter.Process.Pid
}
