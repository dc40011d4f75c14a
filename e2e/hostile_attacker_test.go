package e2e_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"

	"exectape/e2e/tap"
	"exectape/e2e/transcript"
	"exectape/session/sessiontest/hostile"
)

// An attacker is a client that writes every byte by hand.
type attacker struct {
	*talker
	path    string // of the exec that it may ask for
	wire    *keptConn
	front   *tap.Tap  // of containerd
	there   *tap.Line // nil: not asked for yet
	upgrade int       // how much of what is received is HTTP
	left    chan error

	// Of a SPDY session.
	blocks             hostile.Blocks
	errorStream, stdin uint32
}

// line returns the same connection at containerd, which there is once the
// attacker has said something.
func (a *attacker) line() *tap.Line {
	a.t.Helper()
	if a.there != nil {
		return a.there
	}
	line, err := a.front.Next(patiently(a.t))
	if err != nil {
		a.t.Fatal(err)
	}
	a.there = line
	return line
}

// A keptConn keeps what passes.
type keptConn struct {
	*net.TCPConn
	sent, received transcript.Transcript
}

func (c *keptConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	_, _ = c.sent.Write(p[:n])
	return n, err
}

func (c *keptConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	_, _ = c.received.Write(p[:n])
	return n, err
}

// granted reads the answer that grants an upgrade, and then to the connection's
// end.
func (a *attacker) granted() {
	a.t.Helper()
	a.answers(http.StatusSwitchingProtocols)
	a.upgrade = len(a.wire.received.Bytes()) - a.in.Buffered()
	go func() {
		_, err := io.Copy(io.Discard, a.talker)
		_ = a.wire.received.Close()
		a.left <- err
	}()
}

// sends writes frames. The other side may be gone, which is seen elsewhere.
func (a *attacker) sends(frames ...[]byte) {
	for _, f := range frames {
		_, _ = a.wire.Write(f)
	}
}

// awaits waits until what is received behind the upgrade is enough, or no more
// comes.
func (a *attacker) awaits(what string, enough func(received []byte) bool) {
	a.t.Helper()
	err := a.wire.received.Await(patiently(a.t), func(all []byte) bool { return enough(all[a.upgrade:]) })
	if err != nil && !errors.Is(err, transcript.ErrClosed) {
		a.t.Fatalf("%s never came: %v; received: %.1000q", what, err, a.wire.received.Bytes())
	}
}

// sees waits until the server has said a text on some stream.
func (a *attacker) sees(d dialect, text string) {
	a.t.Helper()
	a.awaits(text, func(received []byte) bool {
		return slices.ContainsFunc(d.utterances(received), func(u utterance) bool {
			return bytes.Contains(u.payload, []byte(text))
		})
	})
}

// leaves goes when the server has ended the connection or said that it will,
// and all that was sent has arrived. Some clients leave containerd waiting for
// them for ever.
func (a *attacker) leaves(goodbye func(received []byte) bool) {
	a.t.Helper()
	a.awaits("the session's end", goodbye)
	_ = a.wire.CloseWrite()
	if err := a.line().ClientEnded(patiently(a.t)); err != nil {
		a.t.Fatalf("the client's end never reached containerd: %v", err)
	}
	_ = a.line().CloseServer()
	if err := <-a.left; isTimeout(err) {
		a.t.Fatalf("the connection never ended; received: %.1000q", a.wire.received.Bytes())
	}
	_ = a.wire.Close()
}
