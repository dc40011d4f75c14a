package identify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

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
// A container costs two watches, an exec another one until its FIFOs are there, and
// two while it is not known whose it is.
type index struct {
	observer
	top     string // where the containers' directories are
	bundles string

	in        *inotify // nil: it is not open
	watches   map[int32]watched
	known     map[string]*container
	unwatched map[string]bool // containers whose execs can't be seen
	scanning  bool            // what is found was there before
}

// watched is a directory: of all containers, of one, its FIFOs', or an exec's; or
// it is one of those.
type watched struct {
	path      string
	container *container // nil: of all
	exec      *exec      // nil: not an exec's
	fifo      string     // "stdin" or "stdout": it is that of the exec
	bundle    bool       // it is the container's bundle, or that of all bundles
}

func newIndex(state string, told observer) *index {
	return &index{
		observer: told,
		top:      filepath.Join(state, "io.containerd.grpc.v1.cri/containers"),
		bundles:  filepath.Join(state, "io.containerd.runtime.v2.task/k8s.io"),
	}
}

func (x *index) ear() *inotify               { return x.in }
func (*index) name() string                  { return "containerd" }
func (*index) place(*exec, shape)            {}
func (x *index) blind() bool                 { return len(x.unwatched) > 0 }
func (*index) shows() (stdin, tty bool)      { return true, false }
func (x *index) size() (containers, all int) { return len(x.known), len(x.watches) }

// containers implements [source].
func (x *index) containers() (all []*container, whole bool) {
	for _, c := range x.known {
		if err := x.describe(c); err == nil {
			all = append(all, c)
		}
	}
	return all, !x.blind()
}

// describe implements [source]: the names stand in the container's bundle.
func (x *index) describe(c *container) error {
	return c.describe(filepath.Join(x.bundles, c.id, "config.json"), func(b bundle) {
		c.tty = b.Process.Terminal
		c.namespace = b.Annotations["io.kubernetes.cri.sandbox-namespace"]
		c.pod = b.Annotations["io.kubernetes.cri.sandbox-name"]
		c.name = b.Annotations["io.kubernetes.cri.container-name"]
	})
}

// open begins to watch, at a moment. It fails if there is no such directory.
func (x *index) open(now moment) (err error) {
	if x.in, err = newInotify(now); err != nil {
		return err
	}
	x.watches, x.known, x.unwatched = make(map[int32]watched), make(map[string]*container), make(map[string]bool)
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
		x.in.hear()
		events, err := x.in.take()
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
		if c := x.known[e.name]; c != nil {
			x.watchBundle(c)
		}
	case w.bundle:
		x.started(w.container, e.name, e.at)
	case w.container == nil && created:
		x.addContainer(e.name)
	case w.container == nil:
		x.removeContainer(e.name, e.at)
	case w.fifo != "":
		x.passed(w.exec, w.fifo, e.at)
	case w.exec != nil:
		x.seen(w.exec, e.name)
	case filepath.Base(w.path) != "io":
		if e.name == "io" {
			x.watchIO(w.container)
		}
	case created:
		x.addIO(w.container, e.name)
	default:
		x.removeIO(w.container, e.name, e.at)
	}
}

func (x *index) addContainer(id string) {
	if x.known[id] != nil {
		return
	}
	c := &container{id: id, execs: make(map[string]*exec)}
	x.known[id] = c
	wd, err := x.watch(watched{path: filepath.Join(x.top, id), container: c}, unix.IN_CREATE)
	if err != nil {
		x.unseen(c, err)
		return
	}
	c.watches = append(c.watches, wd)
	x.watchBundle(c)
	x.watchIO(c)
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
		x.unseen(c, err)
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
		if e := c.execs[name]; e != nil {
			e.started = 0 // it may have been started before anybody looked
		}
	}
}

// unseen notes that the execs of a container can't be seen, unless it is gone.
func (x *index) unseen(c *container, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		x.missed()
		return
	}
	x.unwatched[c.id] = true
}

func (x *index) removeContainer(id string, at moment) {
	c := x.known[id]
	if c == nil {
		return
	}
	delete(x.known, id)
	for _, wd := range append(c.watches, c.bundle) {
		x.unwatch(wd)
	}
	for name := range c.execs {
		x.removeIO(c, name, at)
	}
	delete(x.unwatched, id)
}

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
