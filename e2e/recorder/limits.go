package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LimitDescriptors leaves the recorder so many descriptors that it can have
// beside those it has. What it returns takes that back.
func (r *Recorder) LimitDescriptors(left int) (restore func() error, err error) {
	pid := r.process.Process.Pid
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return nil, fmt.Errorf("limit of descriptors: %w", err)
	}
	// Descriptors are numbers, the least that is free first; the limit is one
	// that they stay below.
	most := 0
	for ; left >= 0; most++ {
		if _, err := os.Readlink(r.proc(fmt.Sprintf("fd/%d", most))); errors.Is(err, fs.ErrNotExist) {
			left--
		}
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(most - 1), Max: before.Max}, nil); err != nil {
		return nil, fmt.Errorf("limit the descriptors to %d: %w", most-1, err)
	}
	return func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil) }, nil
}

// removeGroup removes a cgroup whose last process has ended, which the kernel may
// still be about to find out.
func removeGroup(group string) error {
	deadline := time.Now().Add(time.Minute)
	err := os.Remove(group)
	for errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
		err = os.Remove(group)
	}
	return err
}

// LimitMemory makes bytes the most memory that the recorder may take beside what
// it has; if that is not enough for it, the kernel kills it. It takes a kernel
// that lets us have a memory cgroup. What it returns removes that, once the
// recorder has ended.
func (r *Recorder) LimitMemory(bytes int64) (remove func() error, err error) {
	const name = "exectape-limited"
	for _, version := range []struct{ root, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, // version 1, which leaves what it has with its old group
		{"/sys/fs/cgroup", "memory.max"},
	} {
		group := filepath.Join(version.root, name)
		if err := os.Mkdir(group, 0o755); err != nil {
			continue
		}
		err := errors.Join(
			os.WriteFile(filepath.Join(group, version.limit), []byte(strconv.FormatInt(bytes, 10)), 0),
			os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(r.process.Process.Pid)), 0))
		if err != nil {
			return nil, errors.Join(err, os.Remove(group))
		}
		return func() error { return removeGroup(group) }, nil
	}
	return nil, errors.New("there is no memory cgroup to be had")
}
