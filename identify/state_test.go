package identify_test

import (
	"encoding/json"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"

	"exectape/identify"
	"exectape/session"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A state is a state directory as containerd lays it out.
type state struct {
	t     testing.TB
	path  string
	tmp   string
	count int
}

func newState(t testing.TB) *state {
	s := &state{t: t, path: t.TempDir(), tmp: t.TempDir()}
	s.mkdir(s.containers())
	return s
}

func (s *state) containers(parts ...string) string {
	return filepath.Join(append([]string{s.path, "io.containerd.grpc.v1.cri/containers"}, parts...)...)
}

func (s *state) bundle(parts ...string) string {
	return filepath.Join(append([]string{s.path, "io.containerd.runtime.v2.task/k8s.io"}, parts...)...)
}

func (s *state) mkdir(path string) {
	s.t.Helper()
	s.must(os.MkdirAll(path, 0o755))
}

func (s *state) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// process is what FIFOs show of one.
type process struct{ stdin, tty bool }

var (
	shell = process{stdin: true, tty: true}
	pipe  = process{stdin: true}
	plain = process{} // as a probe is
	watch = process{tty: true}
)

// fifos makes the FIFOs of a process, which is started then, and returns their
// directory.
func (s *state) fifos(container, id string, p process) string {
	s.t.Helper()
	path := s.made(container, id, p)
	if container != id {
		s.started(container, id)
	}
	return path
}

// made makes the FIFOs of a process that is not started yet.
func (s *state) made(container, id string, p process) string {
	s.t.Helper()
	s.count++
	path := s.containers(container, "io", fmt.Sprint(s.count))
	s.mkdir(path)
	names := []string{"stdout"}
	if p.stdin {
		names = []string{"stdin", "stdout"}
	}
	if !p.tty {
		names = append(names, "stderr")
	}
	for _, name := range names {
		s.must(unix.Mkfifo(filepath.Join(path, id+"-"+name), 0o700))
	}
	return path
}

// container makes a running container of the pod shop/web.
func (s *state) container(id string, p process) {
	s.t.Helper()
	s.containerOf(id, "shop", "web", id, p)
}

func (s *state) containerOf(id, namespace, pod, name string, p process) {
	s.t.Helper()
	s.fifos(id, id, p)
	s.mkdir(s.bundle(id))
	config, err := json.Marshal(map[string]any{
		"process": map[string]any{"terminal": p.tty, "env": []string{"SECRET=hunter2"}},
		"annotations": map[string]string{
			"io.kubernetes.cri.sandbox-namespace": namespace,
			"io.kubernetes.cri.sandbox-name":      pod,
			"io.kubernetes.cri.container-name":    name,
		},
	})
	s.must(err)
	s.must(os.WriteFile(s.bundle(id, "config.json"), config, 0o600))
}

func (s *state) remove(id string) {
	s.t.Helper()
	s.must(os.RemoveAll(s.containers(id)))
	s.must(os.RemoveAll(s.bundle(id)))
}

// started has the process of an exec started.
func (s *state) started(container, id string) {
	s.t.Helper()
	s.must(os.WriteFile(s.bundle(container, "."+id+".pid"), []byte("4711"), 0o600))
	s.must(os.Rename(s.bundle(container, "."+id+".pid"), s.bundle(container, id+".pid")))
}

// writesPids has a probe in a and b, by which it is seen that the runtime writes the
// pids of execs.
func (s *state) writesPids(r *identify.Resolver) {
	s.t.Helper()
	for _, container := range []string{"a", "b"} {
		probe := s.fifos(container, "probe", plain)
		r.CatchUp()
		s.must(os.RemoveAll(probe))
	}
}

// runs starts a runc that starts the process of an exec, as a shim does. It lives
// until the test ends.
func (s *state) runs(container, id string, p process, command ...string) {
	s.t.Helper()
	spec, err := json.Marshal(map[string]any{
		"terminal": p.tty, "args": command, "env": []string{"SECRET=hunter2"}, "user": map[string]any{"uid": 1000, "gid": 100},
	})
	s.must(err)
	path := filepath.Join(s.tmp, fmt.Sprint("runc-process", id))
	s.must(os.WriteFile(path, spec, 0o600))
	runc := osexec.Command("sh")
	runc.Args = []string{"runc", "-c", "read word", "exec", "--process", path, "--detach", "--pid-file", s.bundle(container, id+".pid"), container}
	stdin, err := runc.StdinPipe()
	s.must(err)
	s.must(runc.Start())
	s.t.Cleanup(func() { _ = stdin.Close(); _ = runc.Wait() })
	_, err = os.ReadFile(path) // as runc does
	s.must(err)
}

// watched returns a resolver of the state that holds sessions for at most wait.
func (s *state) watched(wait time.Duration) *identify.Resolver {
	s.t.Helper()
	r := identify.New(s.path, s.tmp, wait, zap.NewNop())
	s.t.Cleanup(r.Shut)
	return r
}

// A client is one that opens streams of a session.
type client struct {
	session.Tracer
	last session.Identity
}

// exec begins a session by SPDY.
func exec(r *identify.Resolver) *client { return &client{Tracer: r.Trace("exec", false)} }

// opens has the target hear of streams, and accept them.
func (c *client) opens(streams ...session.Stream) {
	for _, s := range streams {
		c.offers(s)
		c.See(session.Event{Kind: session.Accepted, Stream: s})
	}
}

// offers has the target hear of a stream.
func (c *client) offers(s session.Stream) {
	c.See(session.Event{Kind: session.Opened, Stream: s})
	c.Pass()
}

// streams are those that kubectl opens.
func (p process) streams() []session.Stream {
	all := []session.Stream{session.ErrorStream}
	if p.stdin {
		all = append(all, session.Stdin)
	}
	if p.tty {
		return append(all, session.Stdout, session.ResizeStream)
	}
	return append(all, session.Stdout, session.Stderr)
}

func (c *client) shows() {
	c.See(session.Event{Kind: session.Output, Stream: session.Stdout, Data: []byte("x")})
}

func (c *client) exits() {
	c.See(session.Event{Kind: session.Status, Exit: &session.Exit{}})
}

func (c *client) fails() {
	c.See(session.Event{Kind: session.Status, Exit: &session.Exit{Code: session.NoCode}})
}

// is returns whose session it is, as far as is known, in short: such as
// "exact shop/web/app" or "ambiguous a b".
func (c *client) is() string {
	if now := c.Identity(); now != nil {
		c.last = *now
	}
	short := string(c.last.Confidence)
	if c.last.Pod != "" {
		short += " " + c.last.Namespace + "/" + c.last.Pod + "/" + c.last.Container
	}
	for _, candidate := range c.last.Candidates {
		short += " " + candidate.ContainerID
	}
	return short
}

// want fails the test unless the session is known as that.
func (c *client) want(t testing.TB, want string) {
	t.Helper()
	if got := c.is(); got != want {
		t.Errorf("the session is known as %q, want %q", got, want)
	}
}
