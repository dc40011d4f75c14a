package websocket

import (
	"encoding/base64"
	"fmt"
	"strings"

	"exectape/session"
)

// Decoder decodes both directions of one session. It implements
// [session.Decoder].
type Decoder struct {
	client, server reader
	base64         bool
	outcome        session.Outcome
	sizes          session.Sizes
	held           []byte // of a resize in base64, whose end has not come

	// During a Feed only.
	from session.Direction
	emit func(session.Event)
}

// The channels, by their first byte (k8s.io/cri-streaming, remotecommand). In
// base64 that is the digit. v5.channel.k8s.io has a channel 255 on which the
// end of another is told; what still comes on that other is decoded all the
// same.
const (
	stdin = iota
	stdout
	stderr
	errorChannel
	resize
)

// subprotocols are those that have channels: five of cri-streaming's and one
// of conmon-rs.
var subprotocols = map[string]bool{
	"":                         true,
	"channel.k8s.io":           true,
	"base64.channel.k8s.io":    true,
	"v4.channel.k8s.io":        true,
	"v4.base64.channel.k8s.io": true,
	joining:                    true,
}

// joining is the subprotocol whose server joins fragments to messages.
const joining = "v5.channel.k8s.io"

// New returns a decoder of the session whose server chose subprotocol. What
// has no channels, such as a tunnel for port-forwards, is kept raw.
func New(subprotocol string) session.Decoder {
	if !subprotocols[subprotocol] {
		return session.Opaque{}
	}
	d := &Decoder{
		base64:  strings.Contains(subprotocol, "base64."),
		outcome: session.NewOutcome(subprotocol),
	}
	d.client = reader{message: d.message(), joins: subprotocol == joining}
	// Every client joins; wsstream sends nothing that is to be joined.
	d.server = reader{message: d.message(), joins: true, server: true}
	return d
}

func (d *Decoder) message() message {
	m := message{to: d}
	if d.base64 {
		m.base64 = new(text)
	}
	return m
}

// reader returns the one that reads what from sends.
func (d *Decoder) reader(from session.Direction) *reader {
	if from == session.FromServer {
		return &d.server
	}
	return &d.client
}

// Feed implements [session.Decoder].
func (d *Decoder) Feed(from session.Direction, p []byte, emit func(session.Event)) error {
	d.from, d.emit = from, emit
	r := d.reader(from)
	n, err := r.frames.Feed(p, r)
	d.emit = nil
	if err != nil {
		return &session.Undecodable{From: from, Offset: r.frames.Offset(), Rest: append(r.frames.Gathered(), p[n:]...), Err: fmt.Errorf("websocket: %w", err)}
	}
	return nil
}

// Pending implements [session.Decoder].
func (d *Decoder) Pending(from session.Direction) int { return d.reader(from).pending() }

// Begun implements [session.Decoder].
func (d *Decoder) Begun(from session.Direction) int { return d.reader(from).begun() }

// normalClosure is the status of a close frame (RFC 6455, section 7.4.1).
// client-go looks at what came on the error channel only after this one.
var normalClosure = []byte{1000 >> 8, 1000 & 0xff}

// Farewell implements [session.Decoder]: a message on the error channel, and a
// close frame. Behind the server's own close frame there is none.
func (d *Decoder) Farewell(sentence string) []byte {
	if d.server.closed {
		return nil
	}
	op, message := byte(opBinary), append([]byte{errorChannel}, d.outcome.Failure(sentence)...)
	if d.base64 {
		op, message = opText, base64.StdEncoding.AppendEncode([]byte{'0' + errorChannel}, message[1:])
	}
	return append(makeFrame(op, message), makeFrame(opClose, normalClosure)...)
}

// frame implements [channels]. What the server sends on a channel without a
// meaning is kept raw, headers and all.
func (d *Decoder) frame(channel byte, h header, name []byte) (known bool) {
	if d.from == session.FromClient {
		return channel == stdin || channel == resize
	}
	known = channel == stdout || channel == stderr || channel == errorChannel
	if !known {
		d.raw(h)
		d.raw(name)
	}
	return known
}

func (d *Decoder) raw(p []byte) {
	if len(p) > 0 {
		d.emit(session.Event{Kind: session.Raw, From: d.from, Data: p})
	}
}

// data implements [channels].
func (d *Decoder) data(channel byte, p []byte) {
	if d.from == session.FromClient {
		d.fromClient(channel, p)
		return
	}
	switch channel {
	case stdout:
		d.emit(session.Event{Kind: session.Output, Stream: session.Stdout, Data: p})
	case stderr:
		d.emit(session.Event{Kind: session.Output, Stream: session.Stderr, Data: p})
	case errorChannel:
		d.outcome.Tell(p, d.emit)
	default:
		d.raw(p)
	}
}

func (d *Decoder) fromClient(channel byte, p []byte) {
	switch {
	case channel == stdin:
		d.emit(session.Event{Kind: session.Input, Stream: session.Stdin, Data: p})
	case channel == resize && d.base64:
		d.hold(p)
	case channel == resize:
		d.sizes.Feed(p, d.emit)
	}
}

// maxHeld bounds what is held of a resize. Behind it, one that turns out to be
// spoilt has been believed.
const maxHeld = 4096

// hold keeps a resize until it is known to be base64 to its end: else the
// server takes nothing of it.
func (d *Decoder) hold(p []byte) {
	d.held = append(d.held, p...)
	if len(d.held) > maxHeld {
		d.release()
	}
}

func (d *Decoder) release() {
	d.sizes.Feed(d.held, d.emit)
	d.held = d.held[:0]
}

// spoilt implements [channels]. The server takes nothing of a client's message
// that is spoilt.
func (d *Decoder) spoilt(_ byte, text []byte) {
	if d.from == session.FromServer {
		d.raw(text)
	}
}

// end implements [channels].
func (d *Decoder) end(channel byte, whole bool) {
	switch {
	case d.from == session.FromServer && channel == errorChannel:
		d.outcome.End(d.emit)
	case d.from == session.FromClient && channel == resize:
		if whole {
			d.release()
		}
		d.held = d.held[:0]
	}
}
