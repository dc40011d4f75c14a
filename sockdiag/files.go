package sockdiag

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenSockets tells of the sockets among a process's open files, of which it
// looks at most at so many, as long as somebody wants more. process is its
// directory below /proc.
func OpenSockets(process string, most int, tell func(file int, inode uint32) (more bool)) error {
	files, err := os.Open(filepath.Join(process, "fd"))
	if err != nil {
		return err
	}
	defer files.Close()
	names, err := files.Readdirnames(most)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var link [maxLink]byte
	for _, name := range names {
		n, err := unix.Readlinkat(int(files.Fd()), name, link[:])
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed since
		}
		if err != nil {
			return &fs.PathError{Op: "readlink", Path: filepath.Join(files.Name(), name), Err: err}
		}
		inode, ok := inodeOf(string(link[:n]))
		if !ok {
			continue
		}
		if file, _ := strconv.Atoi(name); !tell(file, inode) {
			return nil
		}
	}
	return nil
}

// OpenSocket returns the inode of one of a process's open files, if that is a
// socket.
func OpenSocket(process string, file int) (inode uint32, ok bool) {
	link, err := os.Readlink(filepath.Join(process, "fd", strconv.Itoa(file)))
	if err != nil {
		return 0, false
	}
	return inodeOf(link)
}

// maxLink is room for "socket:[N]". What is longer is none.
const maxLink = 32

// inodeOf returns N of "socket:[N]".
func inodeOf(link string) (uint32, bool) {
	number, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	number, ok = strings.CutSuffix(number, "]")
	inode, err := strconv.ParseUint(number, 10, 32)
	return uint32(inode), ok && err == nil
}
