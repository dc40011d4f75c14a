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
	"sync/atomic"
	"time"

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
// is lost there is lost there only. And they are for one goroutine, which waits for
// nobody, nor anybody for it: it takes milliseconds to go through /proc, and a
// runc may be gone after some more.
type processes struct {
	directory string
	in        *inotify
	specs     map[int32]*spec      // by the watch of the file
	seen      map[string]*runc     // the processes that were there, by pid; nil: another one
	shims     map[string]time.Time // those that may become one, and since when they were there
	found     chan shape           // for whoever has the execs
	others    atomic.Bool          // there are sessions of CRI-O's whose execs make no file
}

// A shape is what an exec runs.
type shape struct {
	container, id string
	process       *process
	probe         bool // by who runs it, no session made it
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
	p := &processes{
		directory: directory, specs: make(map[int32]*spec),
		found: make(chan shape, maxSpecs),
	}
	var err error
	if p.in, err = newInotify(0); err != nil {
		return nil, err
	}
	if _, err = p.in.add(p.directory, unix.IN_CLOSE_WRITE|unix.IN_ONLYDIR); err != nil {
		p.in.close()
		return nil, err
	}
	return p, nil
}

// catchUp finds what the execs run that were started since. It reads once: who
// writes to that directory without end would else never let it return. What is
// lost is not known, no more.
func (p *processes) catchUp() {
	for _, e := range p.in.some() {
		switch {
		case e.mask&unix.IN_IGNORED != 0:
			delete(p.specs, e.watch)
		case (strings.HasPrefix(e.name, specPrefix) || strings.HasPrefix(e.name, execPrefix)) && len(p.specs) < maxSpecs:
			p.written(filepath.Join(p.directory, e.name))
		}
	}
	if len(p.specs) > 0 {
		p.match() // one was written, or its runc has read it
	}
}

// written takes a new spec.
func (p *processes) written(path string) {
	process, err := readSpec(path)
	if err != nil {
		return
	}
	if wd, err := p.in.add(path, unix.IN_CLOSE_NOWRITE); err == nil { // or it is gone
		p.specs[wd] = &spec{path, process}
	}
}

// match gives specs to their execs, if their runcs are there.
func (p *processes) match() {
	p.look()
	runcs := make(map[string]*runc)
	for _, r := range p.seen {
		if r != nil {
			runcs[r.spec] = r
		}
	}
	for wd, s := range p.specs {
		r := runcs[s.path]
		if r == nil {
			continue
		}
		delete(p.specs, wd)
		p.in.remove(wd)
		select {
		case p.found <- shape{r.container, r.exec, s.process, r.probe}:
		default: // of so many it is not known
		}
	}
}

// A runc is one that starts an exec, whatever it is called.
type runc struct {
	spec            string // the path of its spec
	container, exec string
	probe           bool
}

// look looks what processes there are that were not there before.
func (p *processes) look() {
	seen, shims, now := make(map[string]*runc), make(map[string]time.Time), time.Now()
	for _, pid := range list("/proc") {
		if pid[0] < '0' || pid[0] > '9' {
			continue
		}
		if known, ok := p.seen[pid]; ok {
			seen[pid] = known
			continue
		}
		args := arguments(pid)
		if len(args) == 0 {
			continue
		}
		since, ok := p.shims[pid]
		name := filepath.Base(args[0])
		if besides(name) {
			p.others.Store(true)
		}
		switch {
		case !strings.Contains(args[0], "shim") && name != "crio":
			seen[pid] = runcOf(pid, args)
		case ok && now.Sub(since) > forkTime:
			seen[pid] = nil
		case ok:
			shims[pid] = since
		default:
			shims[pid] = now
		}
	}
	p.seen, p.shims = seen, shims
}

// forkTime is how long what looks like a shim may still become a runc: what a shim
// forks is called as the shim is until it calls exec(2).
const forkTime = time.Second

// runcOf returns the runc that a process is, and nil if it is none.
func runcOf(pid string, args []string) *runc {
	if r := crioRuncOf(args); r != nil && isRoot(pid) {
		return r
	}
	spec := value(args, "--process")
	if spec == "" || !strings.Contains(args[0], "runc") || !isRoot(pid) {
		return nil
	}
	return &runc{
		spec: spec, container: args[len(args)-1],
		exec: strings.TrimSuffix(filepath.Base(value(args, "--pid-file")), ".pid"),
	}
}

// find returns an exec by its container and its id.
func (x *index) find(container, id string) *exec {
	if c := x.known[container]; c != nil {
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
	// Not by os.File, which would see first whether it can be waited for.
	fd, err := unix.Open(filepath.Join("/proc", pid, "cmdline"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	text := make([]byte, 4096)
	n, err := unix.Read(fd, text)
	if err != nil || n == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(text[:n], []byte{0})), "\x00")
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

// trusted reports whether a file is root's, or ours.
func trusted(stat *unix.Stat_t) bool { return stat.Uid == 0 || int(stat.Uid) == os.Geteuid() }

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
	if !trusted(&stat) || stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size > maxSpec {
		return nil, errSpec
	}
	var s specJSON
	if err := json.NewDecoder(io.LimitReader(file, maxSpec)).Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpec, err)
	}
	return &process{args: s.Args, user: fmt.Sprintf("%d:%d", s.User.UID, s.User.GID), tty: s.Terminal}, nil
}
