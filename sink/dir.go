package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"exectape/session"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A Dir is a directory of casts. Several instances may use one directory.
type Dir struct {
	root    *os.Root // so that no name leads out of it
	self    *os.File // the directory
	options Options
	log     *zap.Logger

	tick      atomic.Uint32           // of the watch
	ill       atomic.Pointer[illness] // or nil
	suspended atomic.Int64            // recordings that wait for the disk
	left      atomic.Bool             // there are casts to recover that were ours

	stats stats
	room  keptRoom

	opening   chan struct{}   // a place for each cast that is being made
	finishing chan struct{}   // and for each that is being finished
	open      context.Context // ends with Close
	close     context.CancelFunc
	working   sync.WaitGroup // every goroutine of the directory

	mu      sync.Mutex // guards what follows; a recording's lock comes before it
	live    map[*Recording]struct{}
	probing bool
}

// Options are how a directory keeps casts.
type Options struct {
	Version    int       // of asciicast, 2 or 3
	Stdin      StdinMode // what is kept of what clients send
	SessionMax int64     // how long a cast may get, in bytes; 0 for any length
	Room       Room

	Policy        session.Policy // with FailClosed nothing is kept of a session that can't be recorded from its beginning
	Durability    Durability
	FlushInterval time.Duration // of Buffered; 0: 200ms
	Timeout       time.Duration // how long the disk may take to answer; 0: five seconds
}

// OpenDir opens the directory at path, and makes it if there is none.
func OpenDir(path string, o Options, log *zap.Logger) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("directory of casts: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("directory of casts: %w", err)
	}
	self, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("directory of casts: %w", err)
	}
	d := &Dir{
		root: root, self: self, options: o.orDefaults(), log: log,
		opening: make(chan struct{}, maxOpening), finishing: make(chan struct{}, maxFinishing),
		live: make(map[*Recording]struct{}),
	}
	d.open, d.close = context.WithCancel(context.Background())
	if err := d.trust(); err != nil {
		_, _ = self.Close(), root.Close()
		return nil, fmt.Errorf("directory of casts %s: %w", path, err)
	}
	d.tick.Store(1)
	d.working.Go(d.watch)
	if o.Durability == Buffered {
		d.working.Go(d.flush)
	}
	return d, nil
}

func (o Options) orDefaults() Options {
	o.FlushInterval = cmp.Or(o.FlushInterval, 200*time.Millisecond)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	return o
}

// trust returns an error if another user could make casts up.
func (d *Dir) trust() error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(d.self.Fd()), &stat); err != nil {
		return err
	}
	if mode := stat.Mode & 0o777; mode&0o022 != 0 {
		return fmt.Errorf("others may write to it (mode %#o), and so make casts up; chmod it to 0700", mode)
	}
	if me := os.Geteuid(); stat.Uid != 0 && int(stat.Uid) != me {
		return fmt.Errorf("it belongs to user %d, who may so make casts up; chown it to user %d", stat.Uid, me)
	}
	return nil
}

// Close closes the directory. Its recordings were closed before; what could not
// be finished by then gets one more try. A disk that hangs is not waited for: an
// error says that there is something left for the next start.
func (d *Dir) Close() error {
	d.mu.Lock()
	d.close()
	d.mu.Unlock()
	for _, r := range d.recordings(nil) {
		r.mu.Lock()
		r.settled.Broadcast()
		r.mu.Unlock()
	}
	ended := make(chan error, 1)
	go func() {
		d.working.Wait()
		_ = d.self.Close() // it may be closed
		ended <- d.root.Close()
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(d.options.Timeout):
		return d.hangs("finish what is being recorded")
	}
}

// create makes a file and locks it. Another instance's Recover must not come
// in between, or it would take the file for a leftover: that is what the
// directory's own lock is for.
func (d *Dir) create(name string) (*os.File, error) {
	unlock, err := d.lock(unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer unlock()
	file, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return file, nil
}

// lock locks the directory, for the moment in which a live cast can't be told
// from a leftover. Each lock has a descriptor of its own: flock belongs to it.
func (d *Dir) lock(how int) (unlock func(), err error) {
	self, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	if err := flock(self, how); err != nil {
		_ = self.Close()
		return nil, fmt.Errorf("lock the directory of casts: %w", err)
	}
	return func() { _ = self.Close() }, nil
}

// flock is flock(2), however often a signal comes.
func flock(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// rename gives a file another name. os.Root would first look for a directory of
// that name; here is none. Neither name can lead out of the directory: it was read
// there, or made by finishedStem, which leaves no slash in it.
func (d *Dir) rename(name, to string) error {
	if err := unix.Renameat(int(d.self.Fd()), name, int(d.self.Fd()), to); err != nil {
		return &os.LinkError{Op: "rename", Old: name, New: to, Err: err}
	}
	return nil
}

// sync makes the names in the directory durable.
func (d *Dir) sync() error { return d.self.Sync() }

// exists reports whether the directory has a file of that name.
func (d *Dir) exists(name string) bool {
	_, err := d.root.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
