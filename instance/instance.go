// Package instance lets the exectapes of a network namespace know of each
// other.
//
// Each has a port, where redirected connections arrive, and beside it a name in
// the namespace's abstract Unix sockets, by which it says so ([Claim]). [At]
// asks who has a port. That is all that is said: whether anyone is there, and
// whether it stays or leaves. What is to follow from it is package keeper's, and
// what is true of the rules is in the rules.
//
// Anyone in the namespace can bind such a name. So who holds one is believed
// only if it is root or our own user, as the kernel tells (SO_PEERCRED), and a
// [Squatter] keeps nobody from recording: it is complained of, and without names
// instances still know each other by their rules. Nothing is read from whoever
// connects, and nobody but those two users is answered.
package instance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"exectape/peercred"

	"golang.org/x/sys/unix"
)

// A State is what an exectape says of itself.
type State int

// The states. One that is there and says nothing is stopped, or starved.
const (
	Nobody State = iota
	Staying
	Leaving
	Silent
)

var words = [...]string{Nobody: "nobody", Staying: "staying", Leaving: "leaving", Silent: "silent"}

func (s State) String() string { return words[s] }

// A Squatter is somebody who has the name of a port and is no exectape.
type Squatter struct {
	Port     uint16
	UID, PID int // 0 where the process is in another namespace
}

func (s *Squatter) Error() string {
	return fmt.Sprintf("the abstract Unix socket %s, by which exectapes know each other, is held by user %d (process %d); end that process",
		name(s.Port), s.UID, s.PID)
}

// ErrTaken is the error of a Take where another exectape has the port.
var ErrTaken = errors.New("another exectape has that port")

func name(port uint16) string { return fmt.Sprintf("@exectape/%d", port) }

// A Claim says that we have a port. A nil one says nothing.
type Claim struct {
	listener *net.UnixListener
	leaving  atomic.Bool
	closed   chan struct{} // when the goroutine that answers has ended
}

// Take claims a port. Its error is ErrTaken where an exectape has it, and a
// Squatter where somebody else has its name.
func Take(port uint16) (*Claim, error) {
	for deadline := time.Now().Add(answerTime); ; time.Sleep(pause) {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: name(port), Net: "unix"})
		if err == nil {
			c := &Claim{listener: ln, closed: make(chan struct{})}
			go c.answer()
			return c, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, fmt.Errorf("claim port %d: %w", port, err)
		}
		switch state, err := At(port); {
		case err != nil:
			return nil, err
		case state != Nobody:
			return nil, ErrTaken
		case time.Now().After(deadline): // or it has just gone
			return nil, fmt.Errorf("claim port %d: the abstract Unix socket %s is held by a process that does not listen on it; end that, which is in /proc/net/unix by its name", port, name(port))
		}
	}
}

// Leave says from now on that we leave.
func (c *Claim) Leave() {
	if c != nil {
		c.leaving.Store(true)
	}
}

// Close gives the port to whoever wants it.
func (c *Claim) Close() {
	if c == nil {
		return
	}
	_ = c.listener.Close()
	<-c.closed
}

// answerTime is how long an answer may take, to give it or to get it, and pause
// is between two tries.
const (
	answerTime = time.Second
	pause      = answerTime / 100
)

// answer tells one byte to each exectape that asks, until Close.
func (c *Claim) answer() {
	defer close(c.closed)
	for {
		conn, err := c.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors
			time.Sleep(answerTime / 10)
			continue
		}
		if peer, err := peercred.Of(conn); err == nil && peer.Believed() {
			_ = conn.SetWriteDeadline(time.Now().Add(answerTime))
			_, _ = conn.Write([]byte{c.state()})
		}
		_ = conn.Close()
	}
}

// state is S for who stays and L for who leaves.
func (c *Claim) state() byte {
	if c.leaving.Load() {
		return 'L'
	}
	return 'S'
}

// At asks who has a port. Its error is a Squatter, or says why nobody can be
// asked. Then the port itself is asked, which below 1024 no squatter can have;
// and also where nobody listens on the name: who has it may keep an exectape
// from listening there.
func At(port uint16) (State, error) {
	conn, err := dial(name(port))
	if errors.Is(err, unix.ECONNREFUSED) {
		return listens(port), nil
	}
	if err != nil {
		return listens(port), fmt.Errorf("ask who has port %d: %w", port, err)
	}
	defer conn.Close()
	peer, err := peercred.Of(conn.(*net.UnixConn))
	if err != nil {
		return listens(port), fmt.Errorf("ask who has port %d: %w", port, err)
	}
	if !peer.Believed() {
		return listens(port), &Squatter{Port: port, UID: peer.UID, PID: peer.PID}
	}
	var said [1]byte
	_ = conn.SetReadDeadline(time.Now().Add(answerTime))
	_, err = conn.Read(said[:])
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Silent, nil
	case err != nil:
		return Nobody, nil // it went while it was asked
	case said[0] == 'L':
		return Leaving, nil
	}
	return Staying, nil
}

// dial connects to a name. Where very many do, it takes its turn.
func dial(name string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", name)
		if !errors.Is(err, unix.EAGAIN) || ctx.Err() != nil {
			return conn, err
		}
		time.Sleep(pause)
	}
}

// listens reports whether anybody has the port.
func listens(port uint16) State {
	conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String(), answerTime)
	if errors.Is(err, unix.ECONNREFUSED) {
		return Nobody
	}
	if err == nil {
		_ = conn.Close()
	}
	return Silent
}
