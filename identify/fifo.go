package identify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What passes through an exec's FIFOs tells it from others that look alike, if
// their sessions do not do the same at the same time. What is shown to a user the
// runtime has read from stdout before, and what it writes to stdin a user has
// typed before. Of either the first time is enough, so that much costs no more
// than little.

// listen waits for what passes first.
func (x *index) listen(e *exec) {
	for fifo, what := range map[string]uint32{"stdin": unix.IN_MODIFY, "stdout": unix.IN_ACCESS} {
		wd, err := x.in.add(filepath.Join(e.path, e.id+"-"+fifo), what|unix.IN_ONESHOT)
		if err != nil {
			continue // it has no stdin, or is gone
		}
		x.watches[wd] = watched{container: e.container, exec: e, fifo: fifo}
		e.fifos = append(e.fifos, wd)
		if fifo == "stdout" {
			// What it wrote before would not be seen. But nobody reads that before
			// its pid is written (containerd, runtime/v2/runc, exec.go).
			_, err := os.Lstat(filepath.Join(x.bundles, e.container.id, e.id+".pid"))
			if e.started == never && errors.Is(err, fs.ErrNotExist) {
				e.read = never
			}
		}
	}
}

// passed takes that something has passed through one of e's FIFOs.
func (x *index) passed(e *exec, fifo string, at moment) {
	if fifo == "stdout" {
		e.read = at
		return
	}
	x.fed(e, at)
}

// unlisten ends that.
func (x *index) unlisten(e *exec) {
	for _, wd := range e.fifos {
		x.unwatch(wd)
	}
	e.fifos = nil
}
