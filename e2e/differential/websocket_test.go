package differential

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/websocket"
)

// reading is what a decoder took out of a client's bytes.
type reading struct {
	stdin  []byte
	sizes  []session.Size
	gaveUp bool
	fed    int  // bytes, when it gave up or the bytes were at an end
	inside bool // a frame
}

// A decoding is a way to read a client's pieces: ours, or a mistaken one.
type decoding func(subprotocol string, pieces [][]byte) reading

func ours(subprotocol string, pieces [][]byte) reading {
	return read(websocket.New(subprotocol), pieces)
}

func read(d session.Decoder, pieces [][]byte) (r reading) {
	var seen sessiontest.Seen
	for _, p := range pieces {
		r.fed += len(p)
		if r.gaveUp = d.Feed(session.FromClient, p, seen.Add) != nil; r.gaveUp {
			break
		}
	}
	r.stdin, r.sizes = seen.Text(session.Input, session.Stdin), seen.Sizes()
	r.inside = d.Pending(session.FromClient) > 0
	return r
}

// maxStream keeps what is fuzzed below the sizes at which we have limits that
// the server has not: a resize document of 4 KiB, and one held back in base64.
const maxStream = 4096

// disagreements returns in what decode and the server differ about stream.
func disagreements(decode decoding, subprotocol string, stream, cuts []byte) (all []string) {
	differ := func(property, format string, args ...any) {
		all = append(all, property+": "+fmt.Sprintf(format, args...))
	}
	cut := cutUp(stream, cuts)
	server := deliver(subprotocol, cut)
	stdin := server.stdin
	if isBase64(subprotocol) {
		stdin = decodedStdin(frames(cut))
	}
	want := sizes(server.resize)
	for name, pieces := range map[string][][]byte{"at once": {stream}, "cut": cut, "byte by byte": cutUp(stream, nil)} {
		r := decode(subprotocol, pieces)
		if !bytes.Equal(r.stdin, stdin) {
			differ("stdin", "%s: %q, the server's %q", name, r.stdin, stdin)
		}
		// Of a frame of base64 that ends early the server takes what there is,
		// but then nobody is there any more.
		unfinished := isBase64(subprotocol) && r.inside
		if !slices.Equal(r.sizes, want) && !(unfinished && slices.Equal(r.sizes, want[:min(len(want), len(r.sizes))])) {
			differ("resize", "%s: %v, the server's %v", name, r.sizes, want)
		}
		if r.gaveUp && r.fed < server.consumed {
			differ("P4", "%s: gave up at byte %d, the server read %d", name, r.fed, server.consumed)
		}
	}
	return all
}

// decodedStdin is what frames of base64 hold for stdin. The server takes
// nothing of a frame with a mistake in it, we take what is before the mistake:
// it has been recorded when the mistake comes.
func decodedStdin(frames [][]byte) (stdin []byte) {
	for _, f := range frames {
		if len(f) > 0 && f[0] == '0' {
			b := make([]byte, len(f))
			n, _ := base64.StdEncoding.Decode(b, f[1:])
			stdin = append(stdin, b[:n]...)
		}
	}
	return stdin
}

func isBase64(subprotocol string) bool { return strings.Contains(subprotocol, "base64") }

// cutUp cuts stream into pieces of the sizes in cuts, over and over.
func cutUp(stream, cuts []byte) (pieces [][]byte) {
	for _, p := range sessiontest.Recut([]sessiontest.Piece{{Data: stream}}, sessiontest.SizesOf(cuts)) {
		pieces = append(pieces, p.Data)
	}
	return pieces
}

func FuzzClient(f *testing.F) {
	for _, c := range sessiontest.LoadAll(f, "../../websocket/testdata/wire/ws4-*") {
		stream := sessiontest.Joined(c.Pieces)[session.FromClient].Data
		f.Add(byte(3), stream, []byte{}, []byte{7})
		f.Add(byte(4), inBase64(stream), []byte{}, []byte{7})
	}
	f.Fuzz(func(t *testing.T, subprotocol byte, stream, edits, cuts []byte) {
		stream = edit(stream, edits)
		if len(stream) > maxStream {
			t.Skip("too long")
		}
		for _, d := range disagreements(ours, subprotocols[int(subprotocol)%len(subprotocols)], stream, cuts) {
			t.Error(d)
		}
	})
}

// inBase64 is the same session in a base64 subprotocol.
func inBase64(stream []byte) []byte {
	all, tail := split(stream)
	for i, f := range all {
		if len(f.payload) > 0 && f.first&0x0f < 8 {
			all[i].payload = message("base64.channel.k8s.io", f.payload[0], f.payload[1:])
			all[i].resized()
		}
	}
	return join(all, tail)
}

// message is data on channel, as subprotocol has it.
func message(subprotocol string, channel byte, data []byte) []byte {
	if isBase64(subprotocol) {
		return base64.StdEncoding.AppendEncode([]byte{'0' + channel}, data)
	}
	return append([]byte{channel}, data...)
}

// FuzzServer has the server write text in the parts that writes says, on the
// channels that it says.
func FuzzServer(f *testing.F) {
	f.Add(byte(3), []byte("out and err"), []byte{6, 3, 5, 2})
	f.Add(byte(4), []byte("out and err"), []byte{6, 3, 5, 2})
	f.Add(byte(0), bytes.Repeat([]byte("x"), 100_000), []byte{255, 254, 1, 251, 252, 253})
	f.Fuzz(func(t *testing.T, subprotocol byte, text, writes []byte) {
		name := subprotocols[int(subprotocol)%len(subprotocols)]
		wire, want := written(t, name, text, writes)
		pieces := []sessiontest.Piece{{From: session.FromServer, Data: wire}}
		for _, cut := range [][]sessiontest.Piece{pieces, sessiontest.Recut(pieces, sessiontest.SizesOf(writes))} {
			seen := sessiontest.Decode(websocket.New(name), cut)[session.FromServer]
			for stream, want := range want {
				if got := seen.Text(session.Output, stream); !bytes.Equal(got, want) {
					t.Errorf("%v = %q, the server wrote %q", stream, got, want)
				}
			}
			if raw := seen.Text(session.Raw, 0); len(raw) > 0 || seen.Exit() == nil {
				t.Errorf("raw = %q, exit = %v", raw, seen.Exit())
			}
		}
	})
}

// written has the server write text and then a status. Between the two it
// answers pings and the client's close, because what it writes from then on is
// still output.
func written(t *testing.T, subprotocol string, text, writes []byte) (wire []byte, want map[session.Stream][]byte) {
	client := []frame{
		{first: 0x89, masked: true, form: 7, length: 2, payload: []byte("\x01x")},
		{first: 0x88, masked: true, form: 7},
	}
	w, conn := newWire([][]byte{join(client, nil)}), serve()
	_, channels, err := conn.Open(w, upgrade(subprotocol))
	if err != nil {
		t.Fatal(err)
	}
	write := func(channel int, p []byte) {
		if _, err := channels[channel].Write(p); err != nil {
			t.Fatal(err)
		}
	}
	want = make(map[session.Stream][]byte)
	for _, how := range writes {
		part := text[:min(len(text), 1<<(how/16))]
		text = text[len(part):]
		stream, channel := session.Stdout, 1
		if how%2 == 1 {
			stream, channel = session.Stderr, 2
		}
		want[stream] = append(want[stream], part...)
		write(channel, part)
	}
	close(w.begin)
	if _, err := io.ReadAll(channels[0]); err != nil {
		t.Fatal(err)
	}
	write(1, text)
	want[session.Stdout] = append(want[session.Stdout], text...)
	write(3, []byte(`{"status":"Success"}`))
	return w.answer(), want
}
