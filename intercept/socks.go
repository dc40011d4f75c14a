package intercept

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"exectape/session"

	socks5 "github.com/armon/go-socks5"
	"go.uber.org/zap"
)

// ServeSOCKS5 accepts SOCKS5 clients from ln until ln is closed or Shutdown is
// called, which is no error. They reach the same targets as redirected
// connections do, in the same way; go-socks5 speaks the handshake only.
func (s *Server) ServeSOCKS5(ln *net.TCPListener) error {
	return s.accept(ln, s.socks)
}

// socks serves one SOCKS5 client: CONNECT only, to a target only, by address
// only.
func (s *Server) socks(l *link) {
	first, err := s.firstByte(l)
	if err != nil {
		s.logEnded(l, netip.AddrPort{}, err)
		return
	}
	_ = l.client.SetDeadline(time.Now().Add(s.HeadTimeout))
	entry := &socksEntry{server: s, link: l}
	front, err := socks5.New(&socks5.Config{
		Rules:    entry,
		Resolver: entry,
		Dial:     entry.dial,
		Logger:   zap.NewStdLog(zap.NewNop()), // its errors are returned, too
	})
	if err != nil {
		s.Log.Error("SOCKS5", zap.Error(err))
		return
	}
	switch err := front.ServeConn(shaking{&resumed{l.client, first}}); {
	case err == nil:
		_ = l.client.SetDeadline(time.Time{})
		s.intercept(l, entry.first)
	case !errors.Is(err, io.EOF):
		s.Noise.Info("SOCKS5 connection ended", zap.Stringer("client", l.client.RemoteAddr()), zap.Error(err))
	}
}

// shaking is a client of which go-socks5 has the handshake, and not the end.
type shaking struct{ session.Duplex }

// Close leaves the connection to socks.
func (shaking) Close() error { return nil }

// CloseWrite is go-socks5's after its copy.
func (shaking) CloseWrite() error { return nil }

// socksEntry is one client's way from go-socks5 into intercept.
//
// go-socks5 would copy between the client and what Dial returned, by io.Copy
// and in two goroutines. What it gets from Dial is the entry itself: one copy
// brings what the client sent behind its handshake, and both end at once, which
// is the end of go-socks5's part.
type socksEntry struct {
	*net.TCPConn // the target; go-socks5 asks it for its address
	server       *Server
	link         *link
	first        []byte // what the client sent behind the handshake
}

// Allow implements [socks5.RuleSet].
func (e *socksEntry) Allow(ctx context.Context, req *socks5.Request) (context.Context, bool) {
	ip, _ := netip.AddrFromSlice(req.DestAddr.IP)
	to := netip.AddrPortFrom(ip.Unmap(), uint16(req.DestAddr.Port))
	switch {
	case req.Command != socks5.ConnectCommand:
		e.server.countRefused(e.link, to, refusedCommand, nil)
	case !e.server.IsTarget(to):
		e.server.countRefused(e.link, to, refusedStranger, nil)
	default:
		return ctx, true
	}
	return ctx, false
}

// Resolve implements [socks5.NameResolver]: targets are addresses.
func (e *socksEntry) Resolve(ctx context.Context, name string) (context.Context, net.IP, error) {
	return ctx, nil, fmt.Errorf("%q is a name: exectape connects to addresses only", name)
}

// dial connects to a target that Allow has allowed.
func (e *socksEntry) dial(_ context.Context, _, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("SOCKS5 destination: %w", err)
	}
	if err := e.server.dial(e.link, unmapped(to)); err != nil {
		return nil, err
	}
	e.TCPConn = e.link.target
	return e, nil
}

// Write takes what go-socks5 had read behind the handshake.
func (e *socksEntry) Write(p []byte) (int, error) {
	e.first = append(e.first, p...)
	return len(p), nil
}

// ReadFrom is called when there is no more of that.
func (e *socksEntry) ReadFrom(io.Reader) (int64, error) { return 0, nil }

// WriteTo is the other copy.
func (e *socksEntry) WriteTo(io.Writer) (int64, error) { return 0, nil }

// CloseWrite is go-socks5's after its copy.
func (e *socksEntry) CloseWrite() error { return nil }

// Close leaves the target to socks.
func (e *socksEntry) Close() error { return nil }
