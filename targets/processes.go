package targets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"exectape/sockdiag"
)

// runtimes are the names of the processes that have a streaming server. K3s,
// RKE2 and MicroK8s run a containerd that is called so.
var runtimes = []string{"containerd", "crio", "conmonrs", "cri-dockerd"}

// A process is one of a runtime's.
type process struct {
	name string
	pid  int
}

func (p process) String() string { return fmt.Sprintf("%s (process %d)", p.name, p.pid) }

// A census is what there was to see of the processes.
type census struct {
	seen    int                // how many there are
	found   []process          // those of runtimes
	sockets map[uint32]process // whose socket is whose
	errs    []error            // what could not be seen of a runtime's
}

// count looks at all processes below proc, which is /proc.
//
// A runtime is a process by the name of one that is root's in every respect:
// whoever can't become root can't make one. Its name alone says nothing, as
// anyone can choose it; nor does the effective user, as who starts a program
// that is setuid chooses its name, too. What root runs by that name is believed,
// whatever its executable: root could take the place of the right one. A root
// inside of a user namespace has another number here.
func count(proc string) (*census, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	c := &census{sockets: make(map[uint32]process)}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		c.seen++
		p := process{pid: pid}
		if comm, err := os.ReadFile(filepath.Join(proc, name, "comm")); err == nil { // else it has ended
			p.name = strings.TrimSuffix(string(comm), "\n")
		}
		if slices.Contains(runtimes, p.name) {
			c.visit(filepath.Join(proc, name), p)
		}
	}
	return c, nil
}

// visit notes the sockets of p, if it is root's.
func (c *census) visit(directory string, p process) {
	root, err := isRoots(directory)
	if err == nil && root {
		c.found = append(c.found, p)
		err = c.files(directory, p)
	}
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH):
	case errors.Is(err, fs.ErrPermission):
		c.errs = append(c.errs, fmt.Errorf("the sockets of %v can't be seen: that takes CAP_SYS_PTRACE, and no AppArmor or SELinux that is against it: %w", p, err))
	default:
		c.errs = append(c.errs, fmt.Errorf("the sockets of %v can't be seen: %w", p, err))
	}
}

// files notes which of p's open files are sockets.
func (c *census) files(directory string, p process) error {
	return sockdiag.OpenSockets(directory, -1, func(_ int, inode uint32) bool {
		c.sockets[inode] = p
		return true
	})
}

// isRoots reports whether a process is root's by all four of its users: the
// real, the effective, the saved and the file system's. The owner of its
// directory does not say so: it is root for whatever can't be dumped.
func isRoots(directory string) (bool, error) {
	status, err := os.ReadFile(filepath.Join(directory, "status"))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(status)) {
		if users, ok := strings.CutPrefix(line, "Uid:"); ok {
			return slices.Equal(strings.Fields(users), []string{"0", "0", "0", "0"}), nil
		}
	}
	return false, syscall.ESRCH // it ends just now
}
