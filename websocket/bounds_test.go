package websocket_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/session/sessiontest/hostile"
	"exectape/websocket"
)

// A glut is more than a peer has any use for.
type glut struct {
	name           string
	subprotocol    string // v4, if it is empty
	client, server []byte
	step           int // how much of it comes at once, if not as much as can
}

const plainText = "channel.k8s.io"

// mebibyte is one in base64, or not.
var mebibyte = strings.Repeat("ICAg", 1<<18)

// largest is the beginning of a frame of 32 MiB, the largest that a server reads.
func largest(first byte, beginning string) []byte {
	return extended(first, hostile.Bits63, 32<<20, beginning+mebibyte)
}

var gluts = []glut{
	{name: "nothing"},
	{name: "32 MiB of stdin in one frame", client: masked(fin|binaryFrame, "\x00"+strings.Repeat(mebibyte, 32)[1:])},
	{name: "1 MiB of a frame of 32", client: largest(fin|binaryFrame, "\x00")},
	{name: "1 MiB of a frame of 32 in base64", subprotocol: base64v4, client: largest(fin|text, "0")},
	{name: "1 MiB on a channel that there is not", client: largest(fin|binaryFrame, "\x09")},
	{name: "1 MiB on a channel that there is not, in base64", subprotocol: base64v4, client: largest(fin|text, "9")},
	{name: "32 MiB and a byte", client: extended(fin|binaryFrame, hostile.Bits63, 32<<20+1, mebibyte)},
	{name: "32 MiB claimed, and then the end", client: extended(fin|binaryFrame, hostile.Bits63, 32<<20, "\x00some")},
	{name: "a ping that claims 8 EiB", client: extended(fin|ping, hostile.Bits63, 1<<63-1, mebibyte)},
	{name: "10000 pings", client: bytes.Repeat(masked(fin|ping, "ping"), 10_000)},
	{name: "10000 fragments", client: bytes.Repeat(masked(binaryFrame, "\x00x"), 10_000)},
	{name: "10000 fragments, which are joined", subprotocol: v5, client: slices.Concat(masked(binaryFrame, "\x00x"), bytes.Repeat(masked(continuation, "x"), 10_000))},
	{name: "10000 empty frames", client: bytes.Repeat(masked(fin|binaryFrame, ""), 10_000)},
	{name: "a frame that is not masked", client: plain(fin|binaryFrame, "\x00"+mebibyte)},
	{name: "a frame behind the close frame", client: slices.Concat(masked(fin|closeFrame, ""), masked(fin|binaryFrame, "\x00"+mebibyte))},
	{name: "10000 mistakes in base64", subprotocol: base64v4, client: bytes.Repeat(masked(fin|text, "0a\x00=="), 10_000)},
	{name: "1 MiB of mistakes in base64", subprotocol: base64v4, client: masked(fin|text, "0"+strings.Repeat("=", 1<<20))},
	{name: "1 MiB of line breaks in base64", subprotocol: base64v4, client: masked(fin|text, "0"+strings.Repeat("\n", 1<<20))},

	{name: "resizes", step: 1 << 10, client: bytes.Repeat(masked(fin|binaryFrame, "\x04"+`{"Width":81,"Height":25}`), 1000)},
	{name: "resizes in one frame", client: masked(fin|binaryFrame, "\x04"+strings.Repeat(`{"Width":81,"Height":25}`, 10_000))},
	{name: "resizes in base64", step: 1 << 10, subprotocol: base64v4, client: bytes.Repeat(masked(fin|text, digits(4, `{"Width":81,"Height":25}`)), 1000)},
	{name: "a resize of 1 MiB", client: masked(fin|binaryFrame, "\x04"+`{"x":"`+mebibyte)},
	{name: "blanks for a resize", client: masked(fin|binaryFrame, "\x04"+strings.Repeat(" ", 1<<20))},
	{name: "blanks for a resize, in base64", subprotocol: base64v4, client: masked(fin|text, "4"+mebibyte)},

	{name: "10000 frames of output", server: bytes.Repeat(plain(fin|binaryFrame, "\x01x"), 10_000)},
	{name: "1 MiB of output in one frame", server: plain(fin|binaryFrame, "\x01"+mebibyte)},
	{name: "1 MiB of output in one frame, in base64", subprotocol: base64v4, server: plain(fin|text, "1"+mebibyte)},
	{name: "mistakes in a server's base64", subprotocol: base64v4, server: plain(fin|text, "1"+strings.Repeat("=", 1<<20))},
	{name: "10000 frames on a channel that there is not", server: bytes.Repeat(plain(fin|binaryFrame, "\x09x"), 10_000)},
	{name: "garbage of a server", server: []byte(mebibyte)},
	{name: "a status of 1 MiB", server: plain(fin|binaryFrame, "\x03"+`{"message":"`+mebibyte)},
	{name: "10000 frames of plain text", subprotocol: plainText, server: bytes.Repeat(plain(fin|binaryFrame, "\x03it failed"), 10_000)},
	{name: "1 MiB of plain text", subprotocol: plainText, server: plain(fin|binaryFrame, "\x03"+mebibyte)},
	{
		name: "as much as can be held in each place at once", subprotocol: base64v4,
		client: masked(text, "4"+strings.Repeat("ICAg", 1000)),
		server: plain(text, "3"+digits(0, `{"message":"`+strings.Repeat("x", 60_000))[1:]),
	},
}

// sessions are those of a policy in which g is said.
func (g glut) sessions(policy session.Policy) sessiontest.Sessions {
	return sessiontest.Sessions{
		Policy:  policy,
		Decoder: func() session.Decoder { return websocket.New(cmp.Or(g.subprotocol, v4)) },
		Pieces:  []sessiontest.Piece{{From: session.FromClient, Data: g.client}, {From: session.FromServer, Data: g.server}},
		Step:    g.step,
	}
}

func TestWhateverAPeerSendsASessionHoldsLittle(t *testing.T) {
	for _, g := range gluts {
		for _, policy := range []session.Policy{session.FailOpen, session.FailClosed} {
			t.Run(fmt.Sprintf("%s/%v", g.name, policy), func(t *testing.T) { g.sessions(policy).HoldLittle(t) })
		}
	}
}

func BenchmarkSession(b *testing.B) {
	for _, g := range gluts {
		b.Run(g.name, func(b *testing.B) { g.sessions(session.FailOpen).Report(b) })
	}
}
