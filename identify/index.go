package identify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// An index has the containers and execs of containerd's state directory, and
// keeps up with them. Its layout is the same from containerd 1.6 to 2.4:
//
//	io.containerd.grpc.v1.cri/containers/<CONTAINER>/io/<RANDOM>/<CONTAINER>-{stdin,stdout,stderr}
//	io.containerd.grpc.v1.cri/containers/<CONTAINER>/io/<RANDOM>/<EXEC>-{stdin,stdout,stderr}
//	io.containerd.runtime.v2.task/k8s.io/<CONTAINER>/config.json
//	io.containerd.runtime.v2.task/k8s.io/<CONTAINER>/<EXEC>.pid
//
// A container costs two watches, an exec another one until its FIFOs are there.
type index struct {
	top     string // where the containers' directories are
	bundles string
	made    func(*exec) // told of each exec that was made, in order
	shaped  func(*exec) // and of each of which it is known now what it runs
	gone    func(*exec) // and of each that has ended
	missed  func()      // execs may have been made and have ended unseen

	in         *inotify
	watches    map[int32]watched
	containers map[string]*container
	unwatched  map[string]bool // containers whose execs can't be seen
	scanning   bool            // what is found was there before
}

// watched is a directory: of all containers, of one, its FIFOs', or an exec's.
type watched struct {
	path      string
	container *container // nil: of all
	exec      *exec      // nil: not an exec's
	bundle    bool       // it is the container's bundle, or that of all bundles
}

// An exec is a directory of FIFOs that is not its container's own.
type exec struct {
	container *container
	path      string
	watch     int32 // of the directory, while not all of it is known; 0: none

	id       string // "": no FIFO is there yet
	own      bool   // it is its container's
	unseen   bool   // it ended before its FIFOs were seen
	stdin    bool
	old      bool // it was there when the index was made
	ended    bool
	starting bool     // its process has not been started: that would have been seen
	process  *process // what it runs; nil: not known

	matching
}

func newIndex(state string) *index {
	return &index{
		top:     filepath.Join(state, "io.containerd.grpc.v1.cri/containers"),
		bundles: filepath.Join(state, "io.containerd.runtime.v2.task/k8s.io"),
		made:    func(*exec) {},
		shaped:  func(*exec) {},
		gone:    func(*exec) {},
		missed:  func() {},
	}
}

// open begins to watch. It fails if there is no such directory.
func (x *index) open() (err error) {
	if x.in, err = newInotify(); err != nil {
		return err
	}
	x.watches, x.containers, x.unwatched = make(map[int32]watched), make(map[string]*container), make(map[string]bool)
	x.scanning = true
	defer func() { x.scanning = false }()
	if _, err = x.watch(watched{path: x.top}, unix.IN_CREATE|unix.IN_DELETE); err != nil {
		x.close()
		return err
	}
	// Where it is not there yet, or can't be watched, it is not known whether
	// processes have been started.
	_, _ = x.watch(watched{path: x.bundles, bundle: true}, unix.IN_CREATE)
	for _, name := range list(x.top) {
		x.addContainer(name)
	}
	return nil
}

func (x *index) close() {
	if x.in != nil {
		x.in.close()
		x.in = nil
	}
}

func (x *index) watch(w watched, mask uint32) (int32, error) {
	wd, err := x.in.add(w.path, mask|unix.IN_ONLYDIR)
	if err != nil {
		return 0, err
	}
	x.watches[wd] = w
	return wd, nil
}

func (x *index) unwatch(wd int32) {
	if wd != 0 {
		delete(x.watches, wd)
		x.in.remove(wd)
	}
}

// errLost says that events were lost, or that there is nothing to watch any
// more: the index is to be opened anew.
var errLost = errors.New("what happened in the state directory was lost")

// catchUp takes all that has happened so far.
func (x *index) catchUp() error {
	for {
		events, err := x.in.read()
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if e.mask&unix.IN_Q_OVERFLOW != 0 {
				return errLost
			}
			w, ok := x.watches[e.watch]
			if !ok {
				continue
			}
			if e.mask&unix.IN_IGNORED != 0 {
				delete(x.watches, e.watch)
				if w.container == nil && !w.bundle {
					return errLost
				}
				continue
			}
			x.happened(w, e)
		}
	}
}

func (x *index) happened(w watched, e event) {
	created := e.mask&unix.IN_CREATE != 0
	switch {
	case w.bundle && w.container == nil:
		if c := x.containers[e.name]; c != nil {
			x.watchBundle(c)
		}
	case w.bundle:
		x.started(w.container, e.name)
	case w.container == nil && created:
		x.addContainer(e.name)
	case w.container == nil:
		x.removeContainer(e.name)
	case w.exec != nil:
		x.seen(w.exec, e.name)
	case filepath.Base(w.path) != "io":
		if e.name == "io" {
			x.watchIO(w.container)
		}
	case created:
		x.addIO(w.container, e.name)
	default:
		x.removeIO(w.container, e.name)
	}
}

func (x *index) addContainer(id string) {
	if x.containers[id] != nil {
		return
	}
	c := &container{id: id, execs: make(map[string]*exec)}
	x.containers[id] = c
	wd, err := x.watch(watched{path: filepath.Join(x.top, id), container: c}, unix.IN_CREATE)
	if err != nil {
		x.blind(c, err)
		return
	}
	c.watches = append(c.watches, wd)
	x.watchBundle(c)
	x.watchIO(c)
}

// watchBundle watches for the processes that are started in a container.
func (x *index) watchBundle(c *container) {
	path := filepath.Join(x.bundles, c.id)
	if wd, err := x.watch(watched{path: path, container: c, bundle: true}, unix.IN_MOVED_TO|unix.IN_CREATE); err == nil {
		c.bundle = wd
	}
}

// writesPids reports whether the runtime of a container writes the pids of execs:
// runc's shim does, as it does for the container's own process. One that keeps a
// virtual machine has none to write.
func (x *index) writesPids(c *container) bool {
	if !c.pids {
		_, err := os.Lstat(filepath.Join(x.bundles, c.id, "init.pid"))
		c.pids = err == nil
	}
	return c.pids
}

// started takes that the process of an exec has been started: runc has written
// its pid.
func (x *index) started(c *container, file string) {
	for _, e := range c.execs {
		if e.id+".pid" == file {
			e.starting, c.pids = false, true
		}
	}
}

// watchIO watches the directory of a container's FIFOs once that is there, in
// place of the one above it.
func (x *index) watchIO(c *container) {
	path := filepath.Join(x.top, c.id, "io")
	wd, err := x.watch(watched{path: path, container: c}, unix.IN_CREATE|unix.IN_DELETE)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		x.blind(c, err)
		return
	}
	for _, above := range c.watches {
		if above != wd {
			x.unwatch(above)
		}
	}
	c.watches = []int32{wd}
	for _, name := range list(path) {
		x.addIO(c, name)
	}
}

// blind notes that the execs of a container can't be seen, unless it is gone.
func (x *index) blind(c *container, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		x.missed()
		return
	}
	x.unwatched[c.id] = true
}

func (x *index) removeContainer(id string) {
	c := x.containers[id]
	if c == nil {
		return
	}
	delete(x.containers, id)
	for _, wd := range append(c.watches, c.bundle) {
		x.unwatch(wd)
	}
	for name := range c.execs {
		x.removeIO(c, name)
	}
	delete(x.unwatched, id)
}

// addIO takes a new directory of FIFOs, which may still be empty.
func (x *index) addIO(c *container, name string) {
	if c.execs[name] != nil {
		return
	}
	e := &exec{container: c, path: filepath.Join(x.top, c.id, "io", name), old: x.scanning}
	e.starting = c.bundle != 0 && x.writesPids(c) && !x.scanning
	c.execs[name] = e
	wd, err := x.watch(watched{path: e.path, container: c, exec: e}, unix.IN_CREATE)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.removeIO(c, name) // it was quick
		return
	case err != nil:
		x.unwatched[c.id] = true
	}
	e.watch = wd
	files := list(e.path)
	for _, file := range files {
		if strings.HasSuffix(file, "-stdin") {
			e.stdin = true // a listing has no order
		}
	}
	for _, file := range files {
		x.seen(e, file)
	}
}

// seen takes a FIFO. containerd makes them in the order stdin, stdout, stderr, so
// once there is a stdout it is known whether there is a stdin.
func (x *index) seen(e *exec, file string) {
	at := strings.LastIndexByte(file, '-')
	if at < 0 {
		return
	}
	id, stream := file[:at], file[at+1:]
	e.own = id == e.container.id
	e.stdin = e.stdin || stream == "stdin"
	if stream == "stdin" || e.id != "" {
		return
	}
	x.unwatch(e.watch)
	e.watch = 0
	if e.own {
		e.container.stdin = e.stdin
		return
	}
	e.id = id
	x.made(e)
}

func (x *index) removeIO(c *container, name string) {
	e := c.execs[name]
	if e == nil {
		return
	}
	x.unwatch(e.watch)
	e.watch, e.ended = 0, true
	delete(c.execs, name)
	if e.own {
		return
	}
	if e.id == "" {
		e.unseen = true
		x.made(e)
	}
	x.gone(e)
}

// session reports whether a session made e, and nobody else can have: a probe or
// a hook has no stdin and no terminal.
func (e *exec) session() bool { return e.stdin || e.process != nil && e.process.tty }

// list returns the names in a directory, and none if it is gone.
func list(directory string) []string {
	d, err := os.Open(directory)
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }()
	names, _ := d.Readdirnames(-1)
	return names
}
