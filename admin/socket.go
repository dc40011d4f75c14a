package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"exectape/peercred"

	"golang.org/x/sys/unix"
)

// ListenUnix listens on a Unix socket that only root and our own user are
// answered on. A socket that nobody listens on any more is replaced; one that
// another instance listens on is an error. The directory is made, 0700, if it
// is not there.
func ListenUnix(path string) (net.Listener, error) {
	dir, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer func() { _ = dir.Close() }() // and with it the lock
	if err := makeWay(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	// What connects before that is asked who it is all the same.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close()
		return nil, err
	}
	return trusted{ln}, nil
}

// openDir opens and locks the directory of a socket, so that of two instances
// that find an old one there only one replaces it.
func openDir(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return dir, nil
}

var errTaken = errors.New("another instance answers there")

// makeWay removes a socket that nobody listens on.
func makeWay(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something else of that name")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return errTaken
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return err
}

// trusted is a listener that serves root and our own user, and closes what
// comes from anyone else.
type trusted struct{ *net.UnixListener }

// Accept implements [net.Listener].
func (t trusted) Accept() (net.Conn, error) {
	for {
		conn, err := t.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if err := ours(conn); err == nil {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// ours returns an error if neither root nor our own user is at the other end of
// a Unix socket: who connected, or who listens.
func ours(conn *net.UnixConn) error {
	peer, err := peercred.Of(conn)
	if err != nil {
		return err
	}
	if !peer.Believed() {
		return fmt.Errorf("user %d is at the other end, who is neither root nor user %d", peer.UID, os.Geteuid())
	}
	return nil
}
