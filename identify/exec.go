package identify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// An exec is a directory of FIFOs that is not its container's own; or of CRI-O's, a
// file.
type exec struct {
	container *container // nil: not known
	path      string
	watch     int32 // of the directory, while not all of it is known; 0: none

	id      string // "": no FIFO is there yet
	own     bool   // it is its container's
	unseen  bool   // it ended before its FIFOs were seen
	stdin   bool
	plain   bool     // a stdin is not to be seen, nor at first whether it is a probe's: it is CRI-O's
	asked   bool     // it is a session's
	probe   bool     // it is none's
	old     bool     // it was there when the index was made
	process *process // what it runs; nil: not known
	fifos   []int32  // their watches

	// When that was heard: never, as long as it would have been and was not; 0, if
	// it may have been at any time.
	started moment // its process was
	read    moment // something that it wrote to its stdout was
	ended   moment // its FIFOs are gone

	matching
}

// addIO takes a new directory of FIFOs, which may still be empty.
func (x *index) addIO(c *container, name string) {
	if c.execs[name] != nil {
		return
	}
	e := &exec{container: c, path: filepath.Join(x.top, c.id, "io", name), old: x.scanning, ended: never}
	if c.bundle != 0 && x.writesPids(c) && !x.scanning {
		e.started = never
	}
	c.execs[name] = e
	wd, err := x.watch(watched{path: e.path, container: c, exec: e}, unix.IN_CREATE)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.removeIO(c, name, 0) // it was quick
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
	if e.owner == nil && len(e.may) > 0 {
		x.listen(e)
	}
}

func (x *index) removeIO(c *container, name string, at moment) {
	e := c.execs[name]
	if e == nil {
		return
	}
	x.unwatch(e.watch)
	x.unlisten(e)
	e.watch, e.ended = 0, at
	delete(c.execs, name)
	if e.own {
		return
	}
	if e.id == "" {
		e.unseen, e.started = true, 0 // whatever it did was not seen
		x.made(e)
	}
	x.gone(e)
}

// session reports whether a session made e, and nobody else can have: containerd's
// probes and hooks have no stdin and no terminal.
func (e *exec) session() bool {
	return e.asked || !e.plain && (e.stdin || e.process != nil && e.process.tty)
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
func (x *index) started(c *container, file string, at moment) {
	for _, e := range c.execs {
		if e.id+".pid" == file {
			e.started, c.pids = min(e.started, at), true
		}
	}
}
