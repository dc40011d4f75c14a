package identify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A process is what an exec runs.
type process struct {
	args []string
	user string // uid:gid
	tty  bool
}

// processes are those of the execs that are just being started. A shim writes the
// process's spec to a file called runc-process<RANDOM> in its TMPDIR and starts
//
//	runc … exec --process <that file> … --pid-file …/<EXEC>.pid <CONTAINER>
//
// (containerd/go-runc, runc.go, Exec), which says what runs where while runc
// lives: some 30 ms. Who sees that knows the command, even if that ends at once.
//
// They have an inotify of their own, because that directory is everybody's: what
// is lost there is lost there only.
type processes struct {
	directory string
	in        *inotify
	specs     map[int32]*spec // by the watch of the file
	seen      map[string]bool // the processes that were there, by pid
}

// A spec is a file that waits for its runc.
type spec struct {
	path    string
	process *process
}

// specPrefix begins the name of a spec.
const specPrefix = "runc-process"

// maxSpec bounds a spec, which has the environment, and maxSpecs how many may
// wait for their runc.
const (
	maxSpec  = 1 << 20
	maxSpecs = 1024
)

// openProcesses begins to watch.
func openProcesses(directory string) (*processes, error) {
	p := &processes{directory: directory, specs: make(map[int32]*spec), seen: make(map[string]bool)}
	var err error
	if p.in, err = newInotify(); err != nil {
		return nil, err
	}
	if _, err = p.in.add(p.directory, unix.IN_CLOSE_WRITE|unix.IN_ONLYDIR); err != nil {
		p.in.close()
		return nil, err
	}
	return p, nil
}

// catchUp tells x what the execs run that were started since. It reads once: who
// writes to that directory without end would else never let it return.
func (p *processes) catchUp(x *index) {
	events, _ := p.in.read() // what is lost is not known, no more
	for _, e := range events {
		switch s := p.specs[e.watch]; {
		case e.mask&unix.IN_IGNORED != 0:
			delete(p.specs, e.watch)
		case s != nil:
			p.match(x, e.watch, s) // runc has read it, or we have
		case strings.HasPrefix(e.name, specPrefix) && len(p.specs) < maxSpecs:
			p.written(x, filepath.Join(p.directory, e.name))
		}
	}
}

// written takes a new spec.
func (p *processes) written(x *index, path string) {
	wd, err := p.in.add(path, unix.IN_CLOSE_NOWRITE)
	if err != nil {
		return // it is gone
	}
	process, err := readSpec(path)
	if err != nil {
		p.in.remove(wd)
		return
	}
	p.specs[wd] = &spec{path, process}
	p.match(x, wd, p.specs[wd])
}

// match gives a spec to its exec, if its runc is there.
func (p *processes) match(x *index, wd int32, s *spec) {
	e := p.runs(x, s.path)
	if e == nil {
		return
	}
	e.process = s.process
	delete(p.specs, wd)
	p.in.remove(wd)
	x.shaped(e)
}

// runs returns the exec of the runc that was started with the spec at path.
func (p *processes) runs(x *index, path string) *exec {
	now := make(map[string]bool)
	var found *exec
	for _, pid := range list("/proc") {
		if p.seen[pid] {
			now[pid] = true
		}
		if p.seen[pid] || found != nil || pid[0] < '0' || pid[0] > '9' {
			continue
		}
		args := arguments(pid)
		switch {
		case len(args) > 0 && strings.Contains(args[0], "runc") && isRoot(pid):
			// Another one's is looked at again.
			if value(args, "--process") == path {
				found = x.find(args[len(args)-1], strings.TrimSuffix(filepath.Base(value(args, "--pid-file")), ".pid"))
			}
		case len(args) > 0 && !strings.Contains(args[0], "shim"): // which is about to be runc
			now[pid] = true
		}
	}
	p.seen = now
	return found
}

// find returns an exec by its container and its id.
func (x *index) find(container, id string) *exec {
	if c := x.containers[container]; c != nil {
		for _, e := range c.execs {
			if e.id == id {
				return e
			}
		}
	}
	return nil
}

// value returns what follows the flag called name.
func value(args []string, name string) string {
	for i, arg := range args[:max(0, len(args)-1)] {
		if arg == name {
			return args[i+1]
		}
	}
	return ""
}

// arguments returns those of a process.
func arguments(pid string) []string {
	file, err := os.Open(filepath.Join("/proc", pid, "cmdline"))
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	text, _ := io.ReadAll(io.LimitReader(file, 4096))
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(text, []byte{0})), "\x00")
}

// isRoot reports whether a process is root's, and in the node's namespace of
// processes, as we are: one in a container's could call itself anything.
func isRoot(pid string) bool {
	var stat unix.Stat_t
	if err := unix.Stat(filepath.Join("/proc", pid), &stat); err != nil || stat.Uid != 0 {
		return false
	}
	own, err := os.Readlink(filepath.Join("/proc", pid, "ns/pid"))
	ours, ourErr := os.Readlink("/proc/self/ns/pid")
	return err == nil && ourErr == nil && own == ours
}

// specJSON is what is read of a process's spec. The environment is not.
type specJSON struct {
	Terminal bool     `json:"terminal"`
	Args     []string `json:"args"`
	User     struct {
		UID uint32 `json:"uid"`
		GID uint32 `json:"gid"`
	} `json:"user"`
}

var errSpec = errors.New("no spec of a process")

func readSpec(path string) (*process, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return nil, err
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() || stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size > maxSpec {
		return nil, errSpec
	}
	var s specJSON
	if err := json.NewDecoder(io.LimitReader(file, maxSpec)).Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpec, err)
	}
	return &process{args: s.Args, user: fmt.Sprintf("%d:%d", s.User.UID, s.User.GID), tty: s.Terminal}, nil
}
