package admin

import (
	"net"
	"sync"
)

// maxConns is how many connections a listener has at once. Anyone on the node
// may open some, and each has a descriptor that a session could need.
const maxConns = 32

// limited is a listener that keeps at most as many connections as places has
// room for. Beyond that it closes what it accepts: to leave it waiting would let
// those who hold places hold up everybody.
type limited struct {
	net.Listener
	places chan struct{}
}

func newLimited(ln net.Listener, most int) *limited {
	return &limited{ln, make(chan struct{}, most)}
}

// Accept implements [net.Listener].
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &placed{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = conn.Close()
		}
	}
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
