package identify

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A crio has the execs of CRI-O, and keeps up with them. Each has a file in CRI-O's
// TMPDIR, with the spec of its process, from before that is started until it has
// ended:
//
//	exec-process-<RANDOM>
//
// (internal/oci, prepareProcessExec, in 1.34). Which container it is in, and whether
// a session made it, says who is started with that file:
//
//	<runtime> … exec --process <file> <CONTAINER>                                 for a session
//	conmon -c <CONTAINER> … --exec-process-spec <file> …                          for a probe or a hook,
//	<runtime> … exec --pid-file <pid file> --process <file> --detach <CONTAINER>  and by that conmon
//
// The first is there for as long as the exec is. All are looked for as containerd's
// runcs are (see processes).
//
// A container's names are in the run root of CRI-O's storage:
//
//	<DRIVER>-containers/<CONTAINER>/userdata/config.json
type crio struct {
	observer
	stores []string // the directories of the containers
	tmp    string
	runs   *processes // nil: of no exec is known which container it is in
	in     *inotify
	execs  map[string]*exec // by the name of their file
	known  map[string]*container
}

const (
	storeSuffix = "-containers" // ends the name of a store, after that of its driver
	execPrefix  = "exec-process-"
)

// maxExecs bounds how many execs there can be, and of how many containers the names
// are kept.
const maxExecs = 4096

// openCRIO begins to watch, at a moment. The execs that there are it does not look
// for: whoever made them is not asked about.
func openCRIO(stores []string, tmp string, runs *processes, told observer, now moment) (x *crio, err error) {
	x = &crio{
		observer: told, stores: stores, tmp: tmp, runs: runs,
		execs: make(map[string]*exec), known: make(map[string]*container),
	}
	if x.in, err = newInotify(now); err != nil {
		return nil, err
	}
	if _, err = x.in.add(tmp, unix.IN_CREATE|unix.IN_CLOSE_WRITE|unix.IN_DELETE|unix.IN_ONLYDIR); err != nil {
		x.in.close()
		return nil, err
	}
	return x, nil
}

func (x *crio) close()                      { x.in.close() }
func (x *crio) ear() *inotify               { return x.in }
func (*crio) name() string                  { return "crio" }
func (x *crio) blind() bool                 { return x.runs != nil && x.runs.others.Load() }
func (*crio) shows() (stdin, tty bool)      { return false, true }
func (*crio) unlisten(*exec)                {}
func (x *crio) size() (containers, all int) { return len(x.ids()), 1 }

// besides reports whether a process of that name starts what runs in a pod of
// CRI-O's, and makes no file: a monitor of the pod's own, or what keeps a virtual
// machine (internal/oci, runtime_pod.go and runtime_vm.go).
func besides(name string) bool {
	return name == "conmonrs" || strings.HasPrefix(name, "containerd-shim-") && !strings.Contains(name, "runc")
}

// crioRuncOf returns who starts an exec of CRI-O's with these arguments, or nil.
func crioRuncOf(args []string) *runc {
	if spec := value(args, "--exec-process-spec"); spec != "" {
		return &runc{spec: spec, container: value(args, "-c"), exec: filepath.Base(spec), probe: true}
	}
	spec := value(args, "--process")
	if !strings.HasPrefix(filepath.Base(spec), execPrefix) {
		return nil
	}
	return &runc{spec: spec, container: args[len(args)-1], exec: filepath.Base(spec), probe: value(args, "--pid-file") != ""}
}

// ids are those of the containers that there are, pods' own included.
func (x *crio) ids() (all []string) {
	for _, store := range x.stores {
		for _, name := range list(store) {
			if isID(name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// isID reports whether CRI-O can call a container so. It is a part of paths.
func isID(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// container returns the one with that id: the same one to all who may have an exec
// in it at the same time.
func (x *crio) container(id string) *container {
	if x.known[id] == nil {
		if len(x.known) == maxExecs {
			x.forget()
		}
		x.known[id] = &container{id: id}
	}
	return x.known[id]
}

// forget drops the containers that are gone.
func (x *crio) forget() {
	there := make(map[string]bool)
	for _, id := range x.ids() {
		there[id] = true
	}
	for id := range x.known {
		if !there[id] {
			delete(x.known, id)
		}
	}
}

// catchUp implements [source].
func (x *crio) catchUp() error {
	x.in.hear()
	events, err := x.in.take()
	if err != nil {
		return err
	}
	for _, e := range events {
		switch {
		case e.mask&(unix.IN_Q_OVERFLOW|unix.IN_IGNORED) != 0:
			return errLost
		case strings.HasPrefix(e.name, execPrefix):
			x.happened(e)
		}
	}
	return nil
}

func (x *crio) happened(e event) {
	switch {
	case e.mask&unix.IN_CREATE != 0:
		x.add(e.name)
	case e.mask&unix.IN_CLOSE_WRITE != 0:
		x.written(x.execs[e.name])
	default:
		x.remove(e.name, e.at)
	}
}

// add takes a new file, which is still empty.
func (x *crio) add(file string) {
	path := filepath.Join(x.tmp, file)
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err == nil && (!trusted(&stat) || stat.Mode&unix.S_IFMT != unix.S_IFREG) {
		return // it is not CRI-O's
	}
	if len(x.execs) == maxExecs {
		x.missed()
		return
	}
	e := &exec{path: path, id: file, plain: true, ended: never}
	x.execs[file] = e
	x.made(e)
}

// written takes that somebody who has written to a file has closed it: CRI-O does
// that twice, and the first time it is still empty.
func (x *crio) written(e *exec) {
	if e == nil || e.process != nil {
		return
	}
	if process, err := readSpec(e.path); err == nil {
		e.process = process
		x.shaped(e)
	}
}

func (x *crio) remove(file string, at moment) {
	if e := x.execs[file]; e != nil {
		delete(x.execs, file)
		e.ended = at
		x.gone(e)
	}
}

// find implements [source].
func (x *crio) find(_, id string) *exec { return x.execs[id] }

// place implements [source].
func (x *crio) place(e *exec, s shape) {
	if e.container == nil && isID(s.container) {
		e.container, e.probe, e.asked = x.container(s.container), s.probe, !s.probe
	}
}

// containers implements [source].
func (x *crio) containers() (all []*container, whole bool) {
	for _, id := range x.ids() {
		c := x.container(id)
		switch err := x.describe(c); {
		case errors.Is(err, fs.ErrNotExist): // it goes, or is still to come
		case err != nil:
			return nil, false
		case c.name != "": // else it is a pod's own, or none of a pod's
			all = append(all, c)
		}
	}
	return all, true
}

// describe implements [source].
func (x *crio) describe(c *container) (err error) {
	for _, store := range x.stores {
		err = c.describe(filepath.Join(store, c.id, "userdata/config.json"), func(b bundle) {
			c.tty = b.Annotations["io.kubernetes.cri-o.TTY"] == "true"
			c.stdin = b.Annotations["io.kubernetes.cri-o.Stdin"] == "true"
			c.namespace = b.Annotations["io.kubernetes.pod.namespace"]
			c.pod = b.Annotations["io.kubernetes.pod.name"]
			c.name = b.Annotations["io.kubernetes.container.name"]
		})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}
