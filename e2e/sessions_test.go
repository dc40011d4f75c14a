package e2e_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	mathrand "math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/session"
)

// sessions are what users do. Each is played by a user whom some way leads to
// the runtime.
var sessions = []struct {
	name string
	code int // of the command's exit, or noCode
	play func(*testing.T, kubelet.Kubelet) answer
}{
	{"a command that writes to stdout and stderr", 0, once(kubelet.Process{
		Command: shell("echo out; echo err >&2; echo more"),
	})},
	{"a command that exits with 3", 3, once(kubelet.Process{
		Command: shell("echo going; exit 3"),
	})},
	{"a command that is killed", 137, once(kubelet.Process{
		Command: shell("kill -9 $$"),
	})},
	{"a command that isn't there", noCode, once(kubelet.Process{
		Command: []string{"no-such-command"},
	})},
	{"a command that writes nothing", 0, once(kubelet.Process{
		Command: []string{"true"},
	})},
	{"a pipe", 0, func(t *testing.T, k kubelet.Kubelet) answer {
		u := run(t, k, app, kubelet.Process{Command: []string{"tr", "a-z", "A-Z"}, Stdin: true})
		u.types("first, ")
		u.types("second\n")
		u.endsStdin()
		return u.leaves()
	}},
	{"64 MiB of stdin", 0, func(t *testing.T, k kubelet.Kubelet) answer {
		u := run(t, k, app, kubelet.Process{Command: []string{"sha256sum"}, Stdin: true})
		u.sends(bulk())
		u.endsStdin()
		return u.leaves()
	}},
	{"64 MiB of output", 0, once(kubelet.Process{
		Command: []string{"cat", bulkFile},
	})},
	{"much in both directions at once", 0, func(t *testing.T, k kubelet.Kubelet) answer {
		u := run(t, k, app, cat)
		u.sends(bulk()[len(bulk())/2-1<<20:][:2<<20]) // text, and then none
		u.endsStdin()
		return u.leaves()
	}},
	{"a shell on a terminal", 5, func(t *testing.T, k kubelet.Kubelet) answer {
		u := run(t, k, app, kubelet.Process{Command: []string{"sh"}, Stdin: true, TTY: true})
		u.sees(prompt)
		u.types("echo naïve\n")
		u.sees("\r\nnaïve\r\n")
		u.sees(prompt)
		u.types("exit 5\n")
		return u.leaves()
	}},
	{"an attach", 0, func(t *testing.T, k kubelet.Kubelet) answer {
		u := attach(t, k, kubelet.Process{
			Command: shell(`while read line; do echo "got $line"; echo "no $line" >&2; done`),
			Stdin:   true,
		})
		u.types("one\n")
		u.seesSoFar("got one\n", "no one\n")
		u.endsStdin()
		return u.leaves()
	}},
	{"an attach to a terminal", 0, func(t *testing.T, k kubelet.Kubelet) answer {
		// It says nothing by itself: whether the user would see that would
		// depend on who is first.
		u := attach(t, k, kubelet.Process{Command: shell(`read word; echo "got $word"; read word; exit 5`), Stdin: true, TTY: true})
		u.types("naïve\n")
		u.sees("got naïve\r\n")
		u.types("the end\n")
		return u.leaves()
	}},
}

// noCode is the exit code of a command that never ran.
const noCode = -1

// prompt is that of the shell in a container.
const prompt = "/ # "

func shell(script string) []string { return []string{"sh", "-c", script} }

// once plays a process to which nothing is said.
func once(process kubelet.Process) func(*testing.T, kubelet.Kubelet) answer {
	return func(t *testing.T, k kubelet.Kubelet) answer { return run(t, k, app, process).leaves() }
}

// attach starts a container of its own for a process and attaches to it.
func attach(t *testing.T, k kubelet.Kubelet, process kubelet.Process) *user {
	t.Helper()
	ctx := patiently(t)
	container, err := shop.RunContainer(ctx, rand.Text(), process)
	if err != nil {
		t.Fatal(err)
	}
	u, err := container.Attach(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, k, u, process)
}

// bulk is 64 MiB: for one half text with runes of every length, for the other
// what is no text at all.
var bulk = sync.OnceValue(func() []byte {
	const size = 64 << 20
	line := "plain, naïve, 漢字, 🎞\r\n"
	all := make([]byte, size)
	text := copy(all, strings.Repeat(line, size/2/len(line)))
	_, _ = mathrand.NewChaCha8([32]byte{}).Read(all[text:]) // never fails
	return all
})

// bulkFile is where bulk is in the container.
const bulkFile = "/bulk"

// putBulkFile needs the shell to stay when cat is run: containerd 1.6 ends
// stdin as soon as nobody in the container holds stdout any more.
func putBulkFile(t *testing.T) {
	t.Helper()
	upload := run(t, direct, app, kubelet.Process{Command: shell("cat >" + bulkFile + "; true"), Stdin: true})
	upload.sends(bulk())
	upload.endsStdin()
	if got := upload.leaves(); got.err != nil {
		t.Fatal(got.err)
	}
}

func TestSessionsAreWhatTheyAreWithoutExectape(t *testing.T) {
	needsNode(t)
	putBulkFile(t)
	without := make(map[string]answer)
	t.Run("without", func(t *testing.T) {
		for _, s := range sessions {
			t.Run(s.name, func(t *testing.T) {
				got := s.play(t, direct)
				without[s.name] = got
				if code, told := kubelet.ExitCode(got.err); told != (s.code != noCode) || told && code != s.code {
					t.Errorf("the command exits with %d, %v; want %d", code, got.err, s.code)
				}
			})
		}
		sum := fmt.Sprintf("%x  -\n", sha256.Sum256(bulk()))
		wantSame(t, "the sum of 64 MiB of stdin", without["64 MiB of stdin"].stdout, []byte(sum))
		wantSame(t, "64 MiB of output", without["64 MiB of output"].stdout, bulk())
	})
	byEachWay(t, func(t *testing.T, w way, e *exectape) {
		for _, s := range sessions {
			t.Run(s.name, func(t *testing.T) {
				got, want := s.play(t, w.kubelet), without[s.name]
				wantSame(t, "the user's stdout", got.stdout, want.stdout)
				wantSame(t, "the user's stderr", got.stderr, want.stderr)
				wantSame(t, "the session's outcome", got.outcome(), want.outcome())
				e.on(t).recorded().wantAnswer(got)
			})
		}
	})
}

// outcome is what the user is told about the session's end. A runtime's error
// names the execution, which is another one every time.
func (a answer) outcome() []byte {
	return execution.ReplaceAll([]byte(fmt.Sprint(a.err)), []byte("ID"))
}

var execution = regexp.MustCompile("[0-9a-f]{64}")

// wantAnswer fails the test unless the recording is exactly what the user got.
func (r recording) wantAnswer(a answer) {
	t := r.exectape.t
	t.Helper()
	wantSame(t, "exectape cat --stream stdout", r.cat("stdout"), a.stdout)
	wantSame(t, "exectape cat --stream stderr", r.cat("stderr"), a.stderr)
	if got, want := r.Streams.Stdout.Bytes, int64(len(a.stdout)); got != want {
		t.Errorf("the summary counts %d bytes of stdout, want %d", got, want)
	}
	code, told := kubelet.ExitCode(a.err)
	if told != (r.ExitCode != nil) || told && *r.ExitCode != code {
		t.Errorf("the summary's exit code: %v, want %v", r.ExitCode, a.err)
	}
	if r.EndReason != session.EndCompleted {
		t.Errorf("the session ended as %q (%s), want %q", r.EndReason, r.EndDetail, session.EndCompleted)
	}
}
