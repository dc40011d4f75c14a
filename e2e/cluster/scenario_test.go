package cluster_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A scenario is something that people do with kubectl. It is done with and
// without exectape, and must come to the same.
type scenario struct {
	name string
	run  func(u user) answer

	// What exectape must have recorded of it: a session for each, in order.
	sessions []want
}

// A want is what a cast must say.
type want struct {
	verb string
	exit int

	// stdout and stderr are what the session's must be, to the byte. Nil stands
	// for a terminal's, whose bytes depend on times.
	stdout, stderr []byte
	file           []byte // what the tar archive is of that stdout must be; its reader may leave before tar has ended
	size           string // of the terminal at first, COLSxROWS

	protocol string // in which it reached the runtime; "": spdy

	pod     string // "": web, and of that container app
	certain bool   // it has a stdin or a terminal, which probes have not, and is alone with it
}

// load is 10 MB that are no text.
var load = func() []byte {
	b := make([]byte, 10<<20)
	_, _ = rand.Read(b) // never fails
	return b
}()

// big is 64 MB that are no text.
var big = bytes.Repeat(load, 7)[:64_000_000]

var scenarios = []scenario{
	{
		name:     "a command that fails",
		sessions: []want{{verb: "exec", exit: 3, stdout: []byte("this is stdout\n"), stderr: []byte("this is stderr\n")}},
		run: func(u user) answer {
			return u.kubectl(nil, "exec", "web", "--container=app", "--", "sh", "-c", "echo this is stdout; echo this is stderr >&2; exit 3")
		},
	},
	{
		name: "a command by another client",
		sessions: []want{{
			verb: "exec", exit: 3, stdout: []byte("got hello\n"), stderr: []byte("this is stderr\n"),
			protocol: "websocket", certain: true,
		}},
		run: func(u user) answer {
			return u.javascript("hello\n", "sh", "-c", `read line; echo "got $line"; echo "this is stderr" >&2; exit 3`)
		},
	},
	{
		name:     "10 MB both ways",
		sessions: []want{{verb: "exec", stdout: load, certain: true}},
		run: func(u user) answer {
			return u.kubectl(bytes.NewReader(load), "exec", "--stdin", "web", "--container=app", "--", "cat")
		},
	},
	{
		name:     "a shell in a terminal",
		sessions: []want{{verb: "exec", exit: 5, size: "132x43", certain: true}},
		run: func(u user) answer {
			p := u.sitsDown("exec", "-it", "web", "--container=app", "--", "sh")
			p.sees("# ")
			p.waitsForSize("43 132")
			p.resizes(101, 31)
			p.waitsForSize("31 101")
			p.types("exit 5\n")
			return answer{code: p.leaves()}
		},
	},
	{
		// What a container says last, an attach may miss, with or without exectape.
		name:     "attach to a shell",
		sessions: []want{{verb: "attach", size: attached, pod: "shell"}},
		run: func(u user) answer {
			u.does(aPod("shell", "--attach=false", "--restart=Never")...)
			defer u.does("delete", "pod", "shell", "--now")
			u.does("wait", "--for=condition=Ready", "pod/shell", within)
			p := u.sitsDown("attach", "-it", "shell")
			p.types("echo att''ached\n")
			p.sees("attached\r\n")
			p.types("exit\n")
			return answer{code: p.leaves()}
		},
	},
	{
		name:     "a container to debug another",
		sessions: []want{{verb: "attach", size: attached}},
		run: func(u user) answer {
			p := u.sitsDown(debug("web")...)
			p.types("echo de''bugging\n")
			p.sees("debugging\r\n")
			p.types("exit\n")
			return answer{code: p.leaves()}
		},
	},
	{
		name:     "a pod for one command",
		sessions: []want{{verb: "attach", size: attached, pod: "once"}},
		run: func(u user) answer {
			p := u.sitsDown(aPod("once", "--rm", "--restart=Never")...)
			p.types("echo ru''nning\n")
			p.sees("running\r\n")
			p.types("exit\n")
			return answer{code: p.leaves()}
		},
	},
	{
		name: "a file in and out",
		// It asks whether the target is a directory, and unpacks. What it copies
		// out is a tar archive.
		sessions: []want{{verb: "exec", exit: 1, stdout: []byte{}}, {verb: "exec", stdout: []byte{}, certain: true}, {verb: "exec", file: big}},
		run: func(u user) answer {
			there, back := filepath.Join(u.t.TempDir(), "there"), filepath.Join(u.t.TempDir(), "back")
			if err := os.WriteFile(there, big, 0o600); err != nil {
				u.t.Fatal(err)
			}
			in := u.kubectl(nil, "cp", there, "web:/tmp/file", "--container=app")
			out := u.kubectl(nil, "cp", "web:/tmp/file", back, "--container=app")
			got, err := os.ReadFile(back)
			if err != nil {
				u.t.Fatal(err)
			}
			if !bytes.Equal(got, big) {
				u.t.Errorf("%d bytes came back, which are not the %d that were copied in", len(got), len(big))
			}
			return answer{in.stdout + out.stdout, in.stderr, in.code + out.code}
		},
	},
}

const busybox = "exectape.invalid/busybox:e2e"

// attached is the size of a terminal of 132x43 as kubectl says it first when it
// attaches: one more each way, so that what follows is a change, and draws the
// screen.
const attached = "133x44"

// aPod returns what makes kubectl run a pod with a shell in a terminal.
func aPod(name string, more ...string) []string {
	return append([]string{"run", name, "-it", "--image=" + busybox, "--image-pull-policy=Never", "--pod-running-timeout=4m",
		`--overrides={"spec":{"automountServiceAccountToken":false}}`, "--command"}, append(more, "--", "sh")...)
}

// waitsForSize lets the shell wait until its terminal has a size, which comes
// beside what is typed, and not in order with it.
func (p *person) waitsForSize(rowsAndCols string) {
	p.t.Helper()
	p.types(untilSize(rowsAndCols) + "\n")
	p.sees("\r\n" + rowsAndCols + "\r\n")
}

// untilSize returns the line that is typed for that.
func untilSize(rowsAndCols string) string {
	return fmt.Sprintf("until stty size | grep -qx '%s'; do :; done; stty size", rowsAndCols)
}

// short is an answer as a test's message can have it.
func (a answer) short() string {
	return fmt.Sprintf("code %d, stdout %.200q, stderr %.200q", a.code, a.stdout, strings.TrimSpace(a.stderr))
}

// each runs f for every scenario over each of kubectl's protocols.
func each(t *testing.T, f func(s scenario, u user)) {
	for _, u := range []user{{}, {spdy: true}} {
		t.Run(u.protocol(), func(t *testing.T) {
			for _, s := range scenarios {
				t.Run(s.name, func(t *testing.T) { u.t = t; f(s, u) })
			}
		})
	}
}
