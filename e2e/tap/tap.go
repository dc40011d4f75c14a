// Package tap stands between a client and a server and keeps every byte that
// passes, each way.
//
// It passes on ends, but no resets: what it was sent is kept to the end, even
// where nobody takes it any more.
package tap

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"

	"exectape/e2e/transcript"
)

// A Tap leads all its clients to one server.
type Tap struct {
	ln    *net.TCPListener
	to    netip.AddrPort
	lines chan *Line
	ended sync.WaitGroup // the goroutines
}

// A Line is a connection of a client to the server.
type Line struct {
	FromClient transcript.Transcript // closed when the client has no more to say
	FromServer transcript.Transcript

	server      *net.TCPConn
	closeServer func() error
	close       func() error // that, and the client's side
}

// Say says something to the server as if the client did, who is not asked. It
// is not kept.
func (l *Line) Say(words []byte) {
	_, _ = l.server.Write(words) // which may be gone, as for the client
}

// Listen opens a tap in front of the server at to, on a loopback port that is
// free.
func Listen(to netip.AddrPort) (*Tap, error) {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	t := &Tap{ln: ln, to: to, lines: make(chan *Line)}
	t.ended.Go(t.accept)
	return t, nil
}

// Addr returns where the tap is.
func (t *Tap) Addr() netip.AddrPort { return t.ln.Addr().(*net.TCPAddr).AddrPort() }

// Next returns the next line that a client opens.
func (t *Tap) Next(ctx context.Context) (*Line, error) {
	select {
	case l, ok := <-t.lines:
		if !ok {
			return nil, net.ErrClosed
		}
		return l, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close closes the tap. Lines end by themselves, or are closed by who took
// them; Close waits for them.
func (t *Tap) Close() error {
	err := t.ln.Close()
	for l := range t.lines {
		err = errors.Join(err, l.Close())
	}
	t.ended.Wait()
	return err
}

// accept owns the goroutines of all lines.
func (t *Tap) accept() {
	defer close(t.lines)
	for {
		client, err := t.ln.AcceptTCP()
		if err != nil {
			return
		}
		server, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(t.to))
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &Line{server: server, closeServer: sync.OnceValue(server.Close)}
		l.close = sync.OnceValue(func() error { return errors.Join(client.Close(), l.closeServer()) })
		t.ended.Go(func() { pass(server, client, &l.FromClient) })
		t.ended.Go(func() { pass(client, server, &l.FromServer) })
		t.lines <- l
	}
}

// pass copies from one side to the other until its end.
func pass(to, from *net.TCPConn, kept *transcript.Transcript) {
	// In this order nothing is passed on that isn't kept.
	_, _ = io.Copy(forward{kept, to}, from) // a reset is an end
	_ = to.CloseWrite()                     // which may be gone
	_ = kept.Close()
}

// forward writes to a transcript, and to a connection for as long as that takes
// it.
type forward struct {
	kept *transcript.Transcript
	to   *net.TCPConn
}

// Write never fails.
func (f forward) Write(p []byte) (int, error) {
	_, _ = f.to.Write(p)
	return f.kept.Write(p)
}

// Close cuts the line on both sides. It may be called more than once.
func (l *Line) Close() error { return l.close() }

// CloseServer ends the line at the server's side. What that has said until then
// still passes.
func (l *Line) CloseServer() error { return l.closeServer() }

// ClientEnded waits until the client has no more to say.
func (l *Line) ClientEnded(ctx context.Context) error { return closed(ctx, &l.FromClient) }

// Wait waits until both directions have ended, and closes the line.
func (l *Line) Wait(ctx context.Context) error {
	return errors.Join(closed(ctx, &l.FromClient), closed(ctx, &l.FromServer), l.Close())
}

func closed(ctx context.Context, t *transcript.Transcript) error {
	err := t.Await(ctx, func([]byte) bool { return false })
	if errors.Is(err, transcript.ErrClosed) {
		return nil
	}
	return err
}
