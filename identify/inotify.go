package identify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// inotify watches directories. Its methods but wait are for whoever holds the
// Resolver's lock.
type inotify struct {
	fd   int
	file *os.File // the same descriptor, as the runtime's poller knows it
	raw  syscall.RawConn
	buf  [16 << 10]byte
}

// An event is what happened to a name in a watched directory.
type event struct {
	watch int32
	mask  uint32
	name  string
}

func newInotify() (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("inotify: %w", err), file.Close())
	}
	return &inotify{fd: fd, file: file, raw: raw}, nil
}

// add watches a directory or a file. It follows no symbolic link.
func (in *inotify) add(path string, mask uint32) (watch int32, err error) {
	wd, err := unix.InotifyAddWatch(in.fd, path, mask|unix.IN_DONT_FOLLOW)
	if err != nil {
		return 0, fmt.Errorf("watch %s: %w", path, err)
	}
	return int32(wd), nil
}

// remove ends a watch, which may have ended already.
func (in *inotify) remove(watch int32) { _, _ = unix.InotifyRmWatch(in.fd, uint32(watch)) }

// read returns the events that have happened, and none if none has.
func (in *inotify) read() ([]event, error) {
	for {
		n, err := unix.Read(in.fd, in.buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read inotify: %w", err)
		}
		return parse(in.buf[:n]), nil
	}
}

// parse reads events as inotify(7) lays them out.
func parse(b []byte) (all []event) {
	for len(b) >= unix.SizeofInotifyEvent {
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		name, _, _ := bytes.Cut(b[unix.SizeofInotifyEvent:size], []byte{0})
		all = append(all, event{
			watch: int32(binary.NativeEndian.Uint32(b)),
			mask:  binary.NativeEndian.Uint32(b[4:]),
			name:  string(name),
		})
		b = b[size:]
	}
	return all
}

// wait returns when there are events, or an error once it was closed. It is for
// one goroutine, and needs no lock.
func (in *inotify) wait() error {
	return in.raw.Read(func(fd uintptr) (done bool) {
		size, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		return err != nil || size > 0
	})
}

func (in *inotify) close() { _ = in.file.Close() }
