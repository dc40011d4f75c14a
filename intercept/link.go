package intercept

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"exectape/session"
)

// link is an accepted connection and what it is connected to. Its goroutine
// uses the fields as it sets them; mu is for Shutdown, which looks in from
// outside.
type link struct {
	client *net.TCPConn
	target *net.TCPConn
	to     netip.AddrPort
	meant  netip.AddrPort // where the client of a redirected one is connected to, for all that it knows

	holders atomic.Int32 // the goroutine that serves it, and the session that it has become

	quiet      *list.Element // its place among the quiet ones, or nil; the list's lock guards both
	quietSince time.Time

	mu   sync.Mutex // guards target and conn against close and end
	conn *session.Conn
}

// hold keeps the link for a session that outlives the goroutine which serves it.
func (l *link) hold() { l.holders.Add(1) }

// release is how each holder lets go of a link. The last one closes it.
func (s *Server) release(l *link) {
	if l.holders.Add(-1) == 0 {
		l.close()
		s.remove(l)
	}
}

func (l *link) connect(target *net.TCPConn, to netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target, l.to = target, to
}

// begin makes it a session.
func (l *link) begin(conn *session.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

// end ends the session with a farewell, or just closes what is none yet. It
// reports whether there was a session.
func (l *link) end(sentence string) bool {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		l.close()
		return false
	}
	conn.End(sentence)
	return true
}

// close closes both connections. It may be called more than once.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.client.Close()
	if l.target != nil {
		_ = l.target.Close()
	}
}
