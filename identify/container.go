package identify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"exectape/session"

	"golang.org/x/sys/unix"
)

// A container is one of which the state directory has a directory.
type container struct {
	id      string
	watches []int32          // of the directory of its FIFOs, or of the one above
	bundle  int32            // the watch of its bundle; 0: none
	pids    bool             // its runtime writes the pids of execs there
	execs   map[string]*exec // by the name of their directory

	stdin   bool        // its own process has one
	read    fs.FileInfo // the config.json that was read last; nil: none was
	unnamed error       // why it gave no names
	named   bool        // what follows is known

	namespace, pod, name string
	tty                  bool // its own process has a terminal
}

// candidate says which container it is.
func (c *container) candidate() session.Candidate {
	return session.Candidate{Namespace: c.namespace, Pod: c.pod, Container: c.name, ContainerID: c.id}
}

// maxBundle bounds how much of a bundle's config.json is read. It has the
// container's environment, so one can be large; a container for which this is
// not enough has no names.
const maxBundle = 4 << 20

// bundle is what is read of a config.json. Its annotations are containerd's, and
// their keys are matched to the letter, which encoding/json does in a map only.
type bundle struct {
	Process struct {
		Terminal bool `json:"terminal"`
	} `json:"process"`
	Annotations map[string]string `json:"annotations"`
}

// describe reads the container's names from its config.json, unless it has.
func (c *container) describe(path string, take func(bundle)) error {
	if c.named {
		return nil
	}
	b, err := c.readBundle(path)
	if err != nil {
		return fmt.Errorf("the names of container %s: %w", c.id, err)
	}
	c.named = true
	take(b)
	return nil
}

// readBundle reads a config.json. One that it could not make sense of it reads
// again only when that has changed, as while it is written: it is asked for at
// each exec and attach, and everybody waits meanwhile.
func (c *container) readBundle(path string) (b bundle, err error) {
	// Not to be held up by what is no file.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return b, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return b, err
	}
	if c.read == nil || !unchanged(c.read, info) {
		b, c.unnamed = parseBundle(file)
		c.read = info
	}
	return b, c.unnamed
}

func unchanged(before, now fs.FileInfo) bool {
	return os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}

func parseBundle(file *os.File) (b bundle, err error) {
	text, err := io.ReadAll(io.LimitReader(file, maxBundle+1))
	switch {
	case err != nil:
		return b, err
	case len(text) > maxBundle:
		return b, errBundleTooLarge
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return b, nil
}

var errBundleTooLarge = errors.New("its config.json has more than 4 MiB")
