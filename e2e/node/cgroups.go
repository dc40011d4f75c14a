package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// cgroupsVariable has the name of the cgroup above those of all containers.
const cgroupsVariable = "EXECTAPE_TEST_NODE_CGROUPS"

// removeCgroups removes the cgroups called name from every hierarchy, version 1
// or 2, with all below them. No process is in them any more, but the kernel may
// still be about to find that out.
func removeCgroups(name string) error {
	const root = "/sys/fs/cgroup/"
	tops, err := filepath.Glob(root + "*/" + name)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for _, top := range append(tops, root+name) {
		err := removeTree(top)
		for errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
			err = removeTree(top)
		}
		if err != nil {
			return fmt.Errorf("remove the cgroups of the containers: %w", err)
		}
	}
	return nil
}

// removeTree removes a directory and those below it, from the leaves up. The
// files of a cgroup can't be removed and need not be.
func removeTree(top string) error {
	var directories []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			directories = append(directories, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, d := range slices.Backward(directories) {
		if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}
