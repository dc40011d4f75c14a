package sockdiag

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Inodes returns those of the sockets among a process's open files, of which it
// looks at most at so many. process is its directory below /proc.
func Inodes(process string, most int) (all []uint32, err error) {
	fds, err := os.Open(filepath.Join(process, "fd"))
	if err != nil {
		return nil, err
	}
	defer fds.Close()
	names, err := fds.Readdirnames(most)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, name := range names {
		link, err := os.Readlink(filepath.Join(process, "fd", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed since
		}
		if err != nil {
			return all, err
		}
		if inode, ok := inodeOf(link); ok {
			all = append(all, inode)
		}
	}
	return all, nil
}

// inodeOf returns N of "socket:[N]".
func inodeOf(link string) (uint32, bool) {
	number, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32)
	return uint32(inode), err == nil
}
