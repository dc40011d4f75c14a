package spdy_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/session/sessiontest/hostile"
	"exectape/spdy"
)

// A glut is more than a peer has any use for.
type glut struct {
	name        string
	subprotocol string // v4.channel.k8s.io, if it is empty
	client      func(*hostile.Blocks) []byte
	server      []byte // behind all that the client says
	step        int    // how much of it comes at once, if not as much as can
}

// The ids of streams that each session here opens first.
const (
	errorID  = 1
	stdoutID = 3
	resizeID = 5
	freeID   = 7
)

func says(words []byte) func(*hostile.Blocks) []byte {
	return func(*hostile.Blocks) []byte { return words }
}

// opens opens n streams more.
func opens(n uint32, streamType string) func(*hostile.Blocks) []byte {
	return func(b *hostile.Blocks) (all []byte) {
		for i := range n {
			all = append(all, b.Open(freeID+2*i, streamType)...)
		}
		return all
	}
}

// headers opens a stream with header text of this kind.
func headers(text []byte) func(*hostile.Blocks) []byte {
	return func(b *hostile.Blocks) []byte { return hostile.Syn(freeID, b.Squeeze(text)) }
}

var (
	mebibytes16 = bytes.Repeat([]byte("x"), 1<<24-1)
	shortFrames = bytes.Repeat(hostile.Data(stdoutID, 0, []byte("x")), 10_000)
	longName    = strings.Repeat("n", 4<<20)

	endlessBlock = hostile.Claiming(10+64<<10, hostile.Syn(freeID, mebibytes16[:64<<10-1]))
)

func halfDocuments(b *hostile.Blocks) []byte {
	all := opens(250, "resize")(b)
	for i := range uint32(250) {
		all = append(all, hostile.Data(freeID+2*i, 0, []byte(`{"x":"`+strings.Repeat("x", 4000)))...)
	}
	return all
}

var gluts = []glut{
	{name: "nothing"},
	{name: "1000 headers", client: headers(hostile.Pairs(slices.Repeat([]string{"name", "value"}, 1000)...))},
	{name: "1001 headers", client: headers(hostile.Pairs(slices.Repeat([]string{"name", "value"}, 1001)...))},
	{name: "20 million headers claimed", client: headers(hostile.Claim(20_000_000))},
	{name: "a header's value of 4 MiB in a block of 4 KiB", client: headers(hostile.Pairs("streamtype", longName))},
	{name: "a header's name of 4 MiB in a block of 4 KiB", client: headers(hostile.Pairs(longName, "x"))},
	{name: "a header's value of 4 GiB claimed", client: headers(binary.BigEndian.AppendUint32(hostile.Claim(1, "streamtype"), 1<<32-1))},
	{name: "1000 blocks in a frame each", client: func(b *hostile.Blocks) (all []byte) {
		for range 1000 {
			all = append(all, hostile.WithBlock(hostile.Headers, freeID, b.Store(hostile.Pairs("name", strings.Repeat("v", 1000))))...)
		}
		return all
	}},
	{name: "a header block of 64 KiB that does not end", client: says(endlessBlock)},
	{name: "a header block of 16 MiB", client: says(hostile.Syn(freeID, mebibytes16[:1<<24-11]))},
	{name: "a corrupt header block", client: says(hostile.Syn(freeID, []byte("garbage")))},

	{name: "a data frame of 2^24-1 bytes", client: says(hostile.Data(freeID, 0, mebibytes16))},
	{name: "16 MiB claimed, and then the end", client: says(hostile.Claiming(1<<24-1, hostile.Data(freeID, 0, []byte("some"))))},
	{name: "10000 PINGs", client: says(bytes.Repeat(hostile.Control(hostile.Ping, 1), 10_000))},
	{name: "10000 SETTINGS", client: says(bytes.Repeat(hostile.Control(hostile.Settings, 1, 2, 3), 10_000))},
	{name: "SETTINGS that claim 2^32-1 pairs", client: says(hostile.Control(hostile.Settings, slices.Repeat([]uint32{1<<32 - 1}, 1<<20)...))},
	{name: "10000 NOOPs", client: says(bytes.Repeat(hostile.Control(hostile.Noop), 10_000))},
	{name: "10000 RST_STREAMs", client: says(bytes.Repeat(hostile.Control(hostile.RstStream, stdoutID, 1), 10_000))},
	{name: "garbage", client: says(mebibytes16)},

	{name: "300 streams of no type", client: opens(300, "")},
	{name: "300 streams", client: opens(300, "stdout")},
	{name: "250 resize streams with half a document each", client: halfDocuments},
	{name: "resizes", client: says(hostile.Data(resizeID, 0, bytes.Repeat([]byte(`{"Width":81,"Height":25}`), 10_000)))},
	{name: "resizes byte by byte", step: 1 << 10, client: func(*hostile.Blocks) (all []byte) {
		for c := range slices.Chunk([]byte(strings.Repeat(`{"Width":81,"Height":25}`, 400)), 1) {
			all = append(all, hostile.Data(resizeID, 0, c)...)
		}
		return all
	}},
	{name: "resizes of two bytes", client: says(hostile.Data(resizeID, 0, bytes.Repeat([]byte(`{}`), 100_000)))},
	{name: "a resize that is garbage", client: says(hostile.Data(resizeID, 0, mebibytes16[:1<<20]))},
	{name: "a resize of 1 MiB", client: says(hostile.Data(resizeID, 0, []byte(`{"x":"`+strings.Repeat("x", 1<<20))))},
	{name: "a resize as deep as it is long", client: says(hostile.Data(resizeID, 0, bytes.Repeat([]byte(`{"x":`), 1<<18)))},

	{name: "10000 frames of output", server: shortFrames},
	{name: "10000 frames on a stream that there is not", server: bytes.Repeat(hostile.Data(freeID, 0, []byte("x")), 10_000)},
	{name: "a server's data frame of 2^24-1 bytes", server: hostile.Data(stdoutID, 0, mebibytes16)},
	{name: "a server's garbage", server: mebibytes16},
	{name: "a server's header block of 64 KiB that does not end", server: endlessBlock},
	{name: "a status of 16 MiB", server: hostile.Data(errorID, 0, append([]byte(`{"message":"`), mebibytes16[:1<<24-13]...))},
	{name: "a status of 64 KiB", server: hostile.Data(errorID, 0, []byte(`{"message":"`+strings.Repeat("x", 64<<10-14)+`"}`))},
	{name: "a status of 64 KiB of braces", server: hostile.Data(errorID, 0, []byte(`{"details":{"causes":[`+strings.Repeat("{},", 20_000)+`{}]}}`))},
	{name: "10000 frames of plain text", subprotocol: "v3.channel.k8s.io", server: bytes.Repeat(hostile.Data(errorID, 0, []byte("it failed")), 10_000)},
	{name: "16 MiB of plain text", subprotocol: "v3.channel.k8s.io", server: hostile.Data(errorID, 0, mebibytes16)},

	{
		name:   "as much as can be held in each place at once",
		client: func(b *hostile.Blocks) []byte { return append(halfDocuments(b), endlessBlock...) },
		server: slices.Concat(hostile.Data(errorID, 0, []byte(`{"message":"`+strings.Repeat("x", 64<<10-13))), endlessBlock),
	},
}

// sessions are those of a policy in which g is said.
func (g glut) sessions(policy session.Policy) sessiontest.Sessions {
	blocks := &hostile.Blocks{}
	client := slices.Concat(blocks.Open(errorID, "error"), blocks.Open(stdoutID, "stdout"), blocks.Open(resizeID, "resize"))
	if g.client != nil {
		client = append(client, g.client(blocks)...)
	}
	return sessiontest.Sessions{
		Policy:  policy,
		Decoder: func() session.Decoder { return spdy.New(cmp.Or(g.subprotocol, "v4.channel.k8s.io")) },
		Pieces:  both(client, g.server),
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
