package identify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// inotify watches directories. Its methods may be called at once, and while it is
// closed.
type inotify struct {
	file *os.File
	raw  syscall.RawConn

	mu    sync.Mutex // guards what follows, and is held for no longer than it takes to read
	now   moment
	heard []event // and not taken
	err   error   // why no more is heard
	buf   [16 << 10]byte
}

// An event is what happened to a name in a watched directory.
type event struct {
	watch int32
	mask  uint32
	name  string
	at    moment
}

// A moment is how many events had been heard by then. What is heard later than
// something else was, happened after that had: so much is certain however long
// who heard it had to wait.
type moment uint64

// never is later than all that was heard.
const never moment = math.MaxUint64

// newInotify returns one that begins at a moment.
func newInotify(now moment) (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("inotify: %w", err), file.Close())
	}
	return &inotify{file: file, raw: raw, now: now}, nil
}

// add watches a directory or a file. It follows no symbolic link.
func (in *inotify) add(path string, mask uint32) (watch int32, err error) {
	var wd int
	controlErr := in.raw.Control(func(fd uintptr) {
		wd, err = unix.InotifyAddWatch(int(fd), path, mask|unix.IN_DONT_FOLLOW)
	})
	if err := errors.Join(controlErr, err); err != nil {
		return 0, fmt.Errorf("watch %s: %w", path, err)
	}
	return int32(wd), nil
}

// remove ends a watch, which may have ended already.
func (in *inotify) remove(watch int32) {
	_ = in.raw.Control(func(fd uintptr) { _, _ = unix.InotifyRmWatch(int(fd), uint32(watch)) })
}

// hear returns the moment that it is, after all that has happened. Who calls it
// has that taken: wait does not tell of it any more.
func (in *inotify) hear() moment {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.err == nil && in.read() {
	}
	return in.now
}

// take returns what was heard and not taken, and an error if nothing more is heard.
func (in *inotify) take() ([]event, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	events := in.heard
	in.heard = nil
	return events, in.err
}

// some hears what fits into buf, and takes it.
func (in *inotify) some() []event {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.read()
	events := in.heard
	in.heard = nil
	return events
}

// read reads what fits into buf. It reports whether there was something.
func (in *inotify) read() bool {
	n, err := 0, error(unix.EINTR)
	controlErr := in.raw.Control(func(fd uintptr) {
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Read(int(fd), in.buf[:])
		}
	})
	switch {
	case controlErr != nil:
		in.err = fmt.Errorf("read inotify: %w", controlErr)
	case errors.Is(err, unix.EAGAIN):
	case err != nil:
		in.err = fmt.Errorf("read inotify: %w", err)
	default:
		for _, e := range parse(in.buf[:n]) {
			in.now++
			e.at = in.now
			in.heard = append(in.heard, e)
		}
		return true
	}
	return false
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
// one goroutine.
func (in *inotify) wait() error {
	return in.raw.Read(func(fd uintptr) (done bool) {
		size, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		return err != nil || size > 0
	})
}

func (in *inotify) close() { _ = in.file.Close() }
