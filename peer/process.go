package peer

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxFiles bounds how many of a process's open files are looked at. A kubelet has
// some hundred.
const maxFiles = 1 << 14

// maxText bounds an executable's path, in bytes. It can be any text.
const maxText = 256

// pids returns all processes, the youngest first as far as their numbers say so:
// whoever has just begun has not been seen before.
func (f *Finder) pids() (all []int) {
	dir, err := os.Open(f.proc)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all
}

// describe returns a process's name and its executable. Where it is another
// user's and that can't be seen, it is empty.
func (f *Finder) describe(pid int) (name, executable string) {
	executable, _ = os.Readlink(filepath.Join(f.path(pid), "exe"))
	return text(strings.TrimSuffix(read(filepath.Join(f.path(pid), "comm")), "\n")), text(executable)
}

// read returns what a file says that has few bytes, or nothing. It is os.ReadFile
// in three calls of the kernel in place of eleven.
func read(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var few [maxText]byte
	n, _ := unix.Read(fd, few[:])
	return string(few[:max(n, 0)])
}

func (f *Finder) path(pid int) string { return filepath.Join(f.proc, strconv.Itoa(pid)) }

// text returns what is kept of one that a process chose.
func text(s string) string {
	// What a rune cut in two leaves is not valid either.
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}
