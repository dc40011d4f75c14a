// Package peercred tells whose process is at the other end of a Unix socket
// (SO_PEERCRED, unix(7)), and whether it is one that exectape believes.
package peercred

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A Peer is a process: of whoever connected, as it was then, or of whoever
// listens, as it was when it began to.
type Peer struct {
	UID int
	PID int // 0 where the process is in another namespace
}

// Of returns who is at the other end of conn.
func Of(conn *net.UnixConn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var peer *unix.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		peer, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, sockErr); err != nil {
		return Peer{}, fmt.Errorf("who is at the other end: %w", err)
	}
	return Peer{UID: int(peer.Uid), PID: int(peer.Pid)}, nil
}

// Believed reports whether p is root's or our own user's.
func (p Peer) Believed() bool { return p.UID == 0 || p.UID == os.Geteuid() }
