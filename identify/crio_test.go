package identify_test

import (
	"encoding/json"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A storage is the run root of CRI-O's, and its TMPDIR.
type storage struct {
	*state
}

func newStorage(t testing.TB) *storage {
	s := &storage{&state{t: t, path: t.TempDir(), tmp: t.TempDir()}}
	s.mkdir(filepath.Join(s.path, "overlay-containers"))
	return s
}

// idOf is what CRI-O would call a container.
func idOf(name string) string { return strings.Repeat(fmt.Sprintf("%x", name), 64)[:64] }

// container makes a container of the pod shop/web.
func (s *storage) container(name string, p process) {
	s.t.Helper()
	s.mkdir(filepath.Join(s.path, "overlay-containers", idOf(name), "userdata"))
	config, err := json.Marshal(map[string]any{"annotations": map[string]string{
		"io.kubernetes.pod.namespace":  "shop",
		"io.kubernetes.pod.name":       "web",
		"io.kubernetes.container.name": name,
		"io.kubernetes.cri-o.TTY":      fmt.Sprint(p.tty),
		"io.kubernetes.cri-o.Stdin":    fmt.Sprint(p.stdin),
	}})
	s.must(err)
	s.must(os.WriteFile(filepath.Join(s.path, "overlay-containers", idOf(name), "userdata/config.json"), config, 0o600))
}

// spec makes the file of an exec, as CRI-O does.
func (s *storage) spec(tty bool, command ...string) (path string) {
	s.t.Helper()
	file, err := os.CreateTemp(s.tmp, "exec-process-")
	s.must(err)
	s.must(file.Close())
	spec, err := json.Marshal(map[string]any{"terminal": tty, "args": command, "env": []string{"SECRET=hunter2"}})
	s.must(err)
	s.must(os.WriteFile(file.Name(), spec, 0o600))
	return file.Name()
}

// starts starts somebody with the file of an exec, who lives until the test ends.
func (s *storage) starts(path string, args ...string) {
	s.t.Helper()
	started := osexec.Command("sh")
	started.Args = append([]string{args[0], "-c", "read word"}, args[1:]...)
	stdin, err := started.StdinPipe()
	s.must(err)
	s.must(started.Start())
	s.t.Cleanup(func() { _ = stdin.Close(); _ = started.Wait() })
	_, err = os.ReadFile(path) // as it does
	s.must(err)
}

// session makes the exec of a session.
func (s *storage) session(container string, tty bool, command ...string) (path string) {
	s.t.Helper()
	path = s.spec(tty, command...)
	s.starts(path, "crun", "exec", "--process", path, idOf(container))
	return path
}

func (s *storage) probe(container string, tty bool) {
	s.t.Helper()
	path := s.spec(tty, "healthy")
	s.starts(path, "crun", "exec", "--pid-file", "/pid", "--process", path, "--detach", idOf(container))
}

func TestASessionAtCRIOIsKnownByWhoIsStartedForIt(t *testing.T) {
	for _, p := range []process{shell, pipe, watch, plain} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			s := newStorage(t)
			s.container("a", plain)
			s.container("b", p)
			r := s.watched(0)
			c := exec(r)
			c.opens(p.streams()...)
			s.probe("a", p.tty)
			s.session("b", p.tty, "sh", "-c", "id")
			r.CatchUp()
			c.want(t, "exact shop/web/b")
			if got := fmt.Sprint(c.last.Command, " ", c.last.User, " ", c.last.Source); got != "[sh -c id] 0:0 crio-exec" {
				t.Errorf("it is known to run %s", got)
			}
		})
	}
}

func TestSessionsAtCRIOThatStartAtOnceAreNotTakenForEachOther(t *testing.T) {
	s := newStorage(t)
	s.container("a", plain)
	s.container("b", plain)
	r := s.watched(0)
	first, second := exec(r), exec(r)
	first.opens(plain.streams()...)
	second.opens(plain.streams()...)
	one := s.session("a", false, "one")
	s.session("b", false, "two")
	r.CatchUp()
	first.shows()
	first.want(t, "ambiguous "+idOf("a")+" "+idOf("b"))
	s.must(os.Remove(one)) // as CRI-O does before it tells the exit code
	first.exits()
	first.want(t, "exact shop/web/a")
	second.want(t, "exact shop/web/b")
}

func TestAnExecAtCRIOThatNobodyCouldLookAtIsUnknown(t *testing.T) {
	s := newStorage(t)
	s.container("a", plain)
	r := s.watched(0)
	c := exec(r)
	c.opens(plain.streams()...)
	s.must(os.Remove(s.spec(false, "true")))
	c.exits()
	c.Close()
	c.want(t, "unknown")
}

// It starts what runs in its pod, and makes no file.
func TestBesideAConmonRSASessionMayHaveNoExecThatIsSeen(t *testing.T) {
	s := newStorage(t)
	s.container("a", plain)
	s.starts(os.DevNull, "/usr/bin/conmonrs", "--runtime", "crun")
	r := s.watched(0)
	first, second := exec(r), exec(r)
	first.opens(plain.streams()...)
	second.opens(plain.streams()...)
	s.session("a", false, "true")
	first.shows()
	r.CatchUp()
	first.want(t, "unknown")
	second.want(t, "")
}

func TestWhatIsNoFileOfCRIOsIsNoExec(t *testing.T) {
	s := newStorage(t)
	s.container("a", plain)
	r := s.watched(0)
	c := exec(r)
	c.opens(plain.streams()...)
	s.mkdir(filepath.Join(s.tmp, "exec-process-directory"))
	s.must(os.Symlink("/etc/hostname", filepath.Join(s.tmp, "exec-process-link")))
	s.must(os.WriteFile(filepath.Join(s.tmp, "pidfile1"), nil, 0o600))
	if os.Geteuid() == 0 {
		users := filepath.Join(s.tmp, "users")
		s.must(os.WriteFile(users, []byte(`{"args":["true"]}`), 0o600))
		s.must(os.Chown(users, 65534, 65534))
		s.must(os.Link(users, filepath.Join(s.tmp, "exec-process-users")))
	}
	s.session("a", false, "true")
	r.CatchUp()
	c.want(t, "exact shop/web/a")
}

func TestAnAttachAtCRIOIsOneOfTheContainersThatItFits(t *testing.T) {
	s := newStorage(t)
	for name, p := range map[string]process{"a": plain, "b": shell, "c": pipe} {
		s.container(name, p)
	}
	s.mkdir(filepath.Join(s.path, "overlay-containers", idOf("gone"), "userdata"))
	c := &client{Tracer: s.watched(0).Trace("attach", false)}
	c.opens(shell.streams()...)
	c.Close()
	c.want(t, "likely shop/web/b")
	if c.last.Source != "crio-containers" {
		t.Errorf("its source is %s", c.last.Source)
	}
}

func TestAFileOfCRIOsMayHaveAnything(t *testing.T) {
	s := newStorage(t)
	s.container("a", plain)
	r := s.watched(0)
	c := exec(r)
	c.opens(plain.streams()...)
	path := filepath.Join(s.tmp, "exec-process-1")
	for _, text := range []string{"", "{", "null", `{"args":7}`, strings.Repeat("[", 1<<16)} {
		s.must(os.WriteFile(path, []byte(text), 0o600))
		r.CatchUp()
	}
	s.starts(path, "crun", "exec", "--process", path, "../../etc")
	c.shows()
	c.Close()
	c.want(t, "unknown")
}
