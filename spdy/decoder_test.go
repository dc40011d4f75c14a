package spdy_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/adler32"
	"net/http"
	"os"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/spdy"

	"github.com/google/go-cmp/cmp"
	ref "github.com/moby/spdystream/spdy"
)

// A peer writes one direction's frames with the framer that the real peers
// use, so that they share its zlib context; raw puts hand-made bytes between.
type peer struct {
	t      *testing.T
	buf    bytes.Buffer
	framer *ref.Framer
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{t: t}
	framer, err := ref.NewFramer(&p.buf, &p.buf)
	if err != nil {
		t.Fatal(err)
	}
	p.framer = framer
	return p
}

func (p *peer) frame(frame ref.Frame) *peer {
	p.t.Helper()
	if err := p.framer.WriteFrame(frame); err != nil {
		p.t.Fatal(err)
	}
	return p
}

func (p *peer) open(id uint32, streamType string) *peer {
	p.t.Helper()
	return p.frame(&ref.SynStreamFrame{StreamId: ref.StreamId(id), Headers: http.Header{"streamtype": {streamType}}})
}

func (p *peer) data(id uint32, data string) *peer {
	p.t.Helper()
	return p.frame(&ref.DataFrame{StreamId: ref.StreamId(id), Data: []byte(data)})
}

func (p *peer) raw(b ...byte) *peer {
	p.buf.Write(b)
	return p
}

// control is a control frame's header that claims length.
func control(kind byte, length int) []byte {
	return []byte{0x80, 3, 0, kind, 0, byte(length >> 16), byte(length >> 8), byte(length)}
}

// patch changes one byte of what was written so far, counted from the end of
// the first n frames' bytes.
func (p *peer) patch(offset int, b byte) *peer {
	p.buf.Bytes()[offset] = b
	return p
}

// both is a session whose client has sent everything before its server does.
func both(client, server []byte) []sessiontest.Piece {
	return []sessiontest.Piece{{From: session.FromClient, Data: client}, {From: session.FromServer, Data: server}}
}

// run decodes the client's bytes and then the server's.
func run(client, server *peer) [2]sessiontest.Seen {
	return sessiontest.Decode(right(), both(client.buf.Bytes(), server.buf.Bytes()))
}

// What the server reads, however it was written, types the streams of what it
// answers.
func TestStreamsAreTypedAsTheServerTypesThem(t *testing.T) {
	tests := []struct {
		name   string
		client func(p *peer) *peer
		stdout uint32 // the id on which the server writes
	}{
		{"plain", func(p *peer) *peer { return p.open(1, "error").open(3, "stdout") }, 3},
		{"ids beyond 7 bits", func(p *peer) *peer { return p.open(129, "stdout").open(257, "stderr") }, 129},
		{"the largest id", func(p *peer) *peer { return p.open(1<<31-1, "stdout") }, 1<<31 - 1},
		{"even ids", func(p *peer) *peer { return p.open(2, "stdout") }, 2},
		{"an id that is refused for its top bit does not type the one without", func(p *peer) *peer {
			return p.open(3, "stdout").open(1<<31|5, "stderr").open(5, "stderr")
		}, 3},
		{"an id that is opened again keeps its first type", func(p *peer) *peer { return p.open(3, "stdout").open(3, "stdin") }, 3},
		{"an id that was reset", func(p *peer) *peer {
			return p.open(3, "stdout").frame(&ref.RstStreamFrame{StreamId: 3, Status: ref.Cancel})
		}, 3},
		{"an id that was finished", func(p *peer) *peer {
			return p.open(3, "stdout").frame(&ref.DataFrame{StreamId: 3, Flags: ref.DataFlagFin})
		}, 3},
		{"after GOAWAY", func(p *peer) *peer { return p.open(3, "stdout").frame(&ref.GoAwayFrame{}) }, 3},
		{"the first of several values", func(p *peer) *peer {
			return p.frame(&ref.SynStreamFrame{StreamId: 3, Headers: http.Header{"streamtype": {"stdout", "stdin"}}})
		}, 3},
		{"behind other headers", func(p *peer) *peer {
			return p.frame(&ref.SynStreamFrame{StreamId: 3, Headers: http.Header{
				"a": {strings.Repeat("x", 5000)}, "streamtype": {"stdout"}, "z": {"z"}}})
		}, 3},
		{"between HEADERS and SYN_REPLY, which share the context", func(p *peer) *peer {
			return p.frame(&ref.HeadersFrame{StreamId: 1, Headers: http.Header{"a": {"b"}}}).open(3, "stdout").
				frame(&ref.SynReplyFrame{StreamId: 1, Headers: http.Header{"a": {"b"}}})
		}, 3},
		{"version 77", func(p *peer) *peer { return p.open(3, "stdout").patch(1, 77) }, 3},
		{"inside what a RST_STREAM claims", func(p *peer) *peer {
			return p.raw(control(3, 5000)...).raw(0, 0, 0, 9, 0, 0, 0, 1).open(3, "stdout")
		}, 3},
		{"behind a PING of length 0", func(p *peer) *peer { return p.raw(control(6, 0)...).raw(0, 0, 0, 1).open(3, "stdout") }, 3},
		{"behind SETTINGS", func(p *peer) *peer {
			return p.frame(&ref.SettingsFrame{FlagIdValues: make([]ref.SettingsFlagIdValue, 3)}).open(3, "stdout")
		}, 3},
		{"behind WINDOW_UPDATE", func(p *peer) *peer {
			return p.frame(&ref.WindowUpdateFrame{StreamId: 1, DeltaWindowSize: 1}).open(3, "stdout")
		}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := test.client(newPeer(t))
			got := run(client, newPeer(t).data(test.stdout, "hello"))[session.FromServer]
			want := sessiontest.Seen{{Kind: session.Output, Stream: session.Stdout, Data: []byte("hello")}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A header block is inflated with all that blocks before it left unread.
func TestABlockHiddenBehindAnotherTypesTheNextStream(t *testing.T) {
	whole := newPeer(t).open(1, "error").open(3, "stdout").buf.Bytes()
	first := 18 + int(whole[7]) - 10 // the size of the first frame
	block2 := whole[first+18:]
	client := newPeer(t)
	// The second block travels in the first frame; the second frame has none.
	client.raw(whole[:first]...).raw(block2...).raw(whole[first : first+18]...)
	client.patch(7, byte(first-8+len(block2))).patch(client.buf.Len()-11, 10)
	got := run(client, newPeer(t).data(3, "hello"))[session.FromServer]
	if string(got.Text(session.Output, session.Stdout)) != "hello" {
		t.Errorf("events = %+v", got)
	}
}

func TestWhatTheServerSendsElsewhereIsKeptRaw(t *testing.T) {
	client := newPeer(t).open(1, "error").open(3, "stdin").open(5, "stdout").open(7, "resize").open(9, "unheard of")
	for _, id := range []uint32{3, 7, 9, 11, 1<<31 - 1} {
		server := newPeer(t).data(id, "hello")
		got := run(client, server)[session.FromServer]
		want := sessiontest.Seen{{Kind: session.Raw, From: session.FromServer, Data: server.buf.Bytes()}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("id %d (-want +got):\n%s", id, diff)
		}
	}
}

// What ends the server's reading is undecodable from the beginning of its
// frame; the other direction goes on.
func TestUndecodableFrames(t *testing.T) {
	// Frames share a context, so this one follows the one that every test begins with.
	cutOff := newPeer(t).open(1, "stdout")
	before := cutOff.buf.Len()
	cutOff.frame(&ref.SynStreamFrame{StreamId: 3, Headers: http.Header{"a": {"some words that take some bytes"}}}).patch(before+7, 10+12)
	first, many := synStream(1, "stdout"), synStream(3, "stdout")
	many.text = binary.BigEndian.AppendUint32(nil, 20_000_000)
	tooMany := assemble(t, []draft{first, many}, zlib.BestCompression)[len(assemble(t, []draft{first}, zlib.BestCompression)):]
	tests := []struct {
		name string
		bad  []byte
		why  string
	}{
		{"NOOP", control(5, 0), "type 5"},
		{"an unknown type", control(99, 0), "type 99"},
		{"data for stream 0", make([]byte, 8), "stream 0"},
		{"RST_STREAM with status 0", append(control(3, 8), 0, 0, 0, 1, 0, 0, 0, 0), "status 0"},
		{"a PING with flags", append([]byte{0x80, 3, 0, 6, 1, 0, 0, 4}, 0, 0, 0, 1), "flags"},
		{"a GOAWAY of 9 bytes", append(control(7, 9), make([]byte, 8)...), "length"},
		{"a SYN_STREAM shorter than its fixed part", append(control(1, 9), make([]byte, 10)...), "length"},
		{"a header block of 64 KiB and a byte", append(control(1, 64<<10+11), make([]byte, 10)...), "header block of 65537 bytes"},
		{"a header block that is no zlib", append(append(control(1, 14), make([]byte, 10)...), "junk"...), "header block"},
		{"a header block of 20 million headers", tooMany, "20000000 headers"},
		{"a header block that ends early", cutOff.buf.Bytes()[before : before+18+12], "unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := newPeer(t).open(1, "stdout").raw(test.bad...).raw([]byte("and more")...)
			d := spdy.New("v4.channel.k8s.io")
			var events sessiontest.Seen
			err := d.Feed(session.FromClient, client.buf.Bytes(), events.Add)
			u, ok := err.(*session.Undecodable)
			if !ok || !strings.Contains(err.Error(), test.why) {
				t.Fatalf("error = %v, want one about %q", err, test.why)
			}
			if want := int64(client.buf.Len() - len(test.bad) - len("and more")); u.Offset != want || u.From != session.FromClient {
				t.Errorf("undecodable from %v byte %d, want %d", u.From, u.Offset, want)
			}
			if want := string(test.bad) + "and more"; string(u.Rest) != want {
				t.Errorf("rest = % x, want % x", u.Rest, want)
			}
			if err := d.Feed(session.FromServer, newPeer(t).data(1, "hello").buf.Bytes(), events.Add); err != nil {
				t.Errorf("the server's direction: %v", err)
			}
			if string(events.Text(session.Output, session.Stdout)) != "hello" {
				t.Errorf("events = %+v", events)
			}
		})
	}
}

func TestResizesAreReadAsTheServerReadsThem(t *testing.T) {
	size := func(cols, rows uint16) session.Size { return session.Size{Cols: cols, Rows: rows} }
	tests := []struct {
		name   string
		frames []string
		want   []session.Size
	}{
		{"one a frame", []string{`{"Width":81,"Height":25}`, `{"Width":132,"Height":43}`}, []session.Size{size(81, 25), size(132, 43)}},
		{"two a frame", []string{`{"Width":81,"Height":25}{"Width":82,"Height":26}` + "\n"}, []session.Size{size(81, 25), size(82, 26)}},
		{"one over three frames", []string{`{"Wid`, `th":81,"Hei`, `ght":25}`}, []session.Size{size(81, 25)}},
		{"keys in any case, and others", []string{`{"wIDTH":81,"height":25,"x":[1,{}]}`}, []session.Size{size(81, 25)}},
		{"null and zeros change nothing", []string{`null {"Width":0,"Height":0} {} {"Width":81,"Height":25}`}, []session.Size{size(81, 25)}},
		{"nothing behind a negative", []string{`{"Width":-1,"Height":25}`, `{"Width":81,"Height":25}`}, nil},
		{"nothing behind one too large", []string{`{"Width":70000,"Height":25}{"Width":81,"Height":25}`}, nil},
		{"nothing behind a fraction", []string{`{"Width":1.5,"Height":25}{"Width":81,"Height":25}`}, nil},
		{"nothing behind a string", []string{`"100"`, `{"Width":81,"Height":25}`}, nil},
		{"nothing behind garbage", []string{`}`, `{"Width":81,"Height":25}`}, nil},
		{"blanks without end", []string{strings.Repeat(" ", 1<<20), `{"Width":81,"Height":25}`}, []session.Size{size(81, 25)}},
		{"a document without end is given up", []string{`{"Width":"` + strings.Repeat("x", 1<<20), `"}{"Width":81,"Height":25}`}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := newPeer(t).open(1, "resize")
			for _, f := range test.frames {
				client.data(1, f)
			}
			got := run(client, newPeer(t))[session.FromClient].Sizes()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		name, subprotocol string
		frames            []string
		want              *session.Exit
	}{
		{"success", "v4.channel.k8s.io", []string{`{"metadata":{},"status":"Success"}`}, &session.Exit{}},
		{"an exit code", "v4.channel.k8s.io", []string{`{"status":"Failure","message":"exit 3","reason":"NonZeroExitCode",`, `"details":{"causes":[{"reason":"ExitCode","message":"3"}]}}`},
			&session.Exit{Code: 3, Reason: "NonZeroExitCode", Message: "exit 3"}},
		{"an error of the runtime", "v4.channel.k8s.io", []string{`{"status":"Failure","message":"no such file","reason":"InternalError"}`},
			&session.Exit{Code: session.NoCode, Reason: "InternalError", Message: "no such file"}},
		{"half a status", "v4.channel.k8s.io", []string{`{"status":"Succ`}, nil},
		{"plain text", "v2.channel.k8s.io", []string{"it ", "failed"}, &session.Exit{Code: session.NoCode, Message: "it failed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := newPeer(t)
			for _, f := range test.frames {
				server.data(1, f)
			}
			pieces := []sessiontest.Piece{
				{From: session.FromClient, Data: newPeer(t).open(1, "error").buf.Bytes()},
				{From: session.FromServer, Data: server.buf.Bytes()},
			}
			decoder := func() session.Decoder { return spdy.New(test.subprotocol) }
			got := sessiontest.Decode(decoder(), pieces)[session.FromServer].Exit()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			sessiontest.CutsDoNotMatter(t, decoder, pieces)
		})
	}
}

func TestPendingNeverReachesBeyondAFrame(t *testing.T) {
	for _, c := range captures(t) {
		d := spdy.New("v4.channel.k8s.io")
		for _, p := range sessiontest.Joined(c.Pieces) {
			frames := 0
			for rest := p.Data; len(rest) > 0; {
				n := max(1, min(d.Pending(p.From), len(rest)))
				if err := d.Feed(p.From, rest[:n], func(session.Event) {}); err != nil {
					t.Fatal(err)
				}
				if rest = rest[n:]; d.Pending(p.From) == 0 {
					frames++
				}
			}
			if want := countFrames(t, p.Data); frames != want {
				t.Errorf("%s, %v: %d boundaries, want %d", c.Name, p.From, frames, want)
			}
		}
	}
}

// countFrames counts by the reference framer.
func countFrames(t *testing.T, b []byte) (n int) {
	t.Helper()
	framer, err := ref.NewFramer(&bytes.Buffer{}, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for ; ; n++ {
		if _, err := framer.ReadFrame(); err != nil {
			return n
		}
	}
}

func TestTheFarewellIsAFrameThatTheClientReads(t *testing.T) {
	d := spdy.New("v4.channel.k8s.io")
	if got := d.Farewell("too early"); got != nil {
		t.Errorf("before there is an error stream: %q", got)
	}
	if err := d.Feed(session.FromClient, newPeer(t).open(5, "error").buf.Bytes(), func(session.Event) {}); err != nil {
		t.Fatal(err)
	}
	framer, err := ref.NewFramer(&bytes.Buffer{}, bytes.NewReader(d.Farewell(`"sorry"`)))
	if err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	want := &ref.DataFrame{StreamId: 5, Flags: ref.DataFlagFin,
		Data: []byte(`{"metadata":{},"status":"Failure","message":"\"sorry\"","reason":"InternalError","code":500}`)}
	if diff := cmp.Diff(want, frame); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheDictionaryIsTheOneThatBlocksName(t *testing.T) {
	b, err := os.ReadFile("dictionary.bin")
	if err != nil {
		t.Fatal(err)
	}
	if got := adler32.Checksum(b); got != 0xe3c6a7c2 {
		t.Errorf("Adler-32 = %#x", got)
	}
}

// A claim costs nothing: not in memory, and not in time.
func TestClaimsAreNotAllocated(t *testing.T) {
	tests := map[string][]byte{
		"a data frame of 2^24-1 bytes": {0, 0, 0, 3, 0, 0xff, 0xff, 0xff},
		"2^32-1 settings":              append(control(4, 4), 0xff, 0xff, 0xff, 0xff),
		"20 million headers":           newPeer(t).frame(&ref.SynStreamFrame{StreamId: 3, Headers: http.Header{}}).buf.Bytes(),
	}
	for name, claim := range tests {
		t.Run(name, func(t *testing.T) {
			result := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_ = spdy.New("").Feed(session.FromClient, claim, func(session.Event) {})
				}
			})
			if got := result.AllocedBytesPerOp(); got > 128<<10 {
				t.Errorf("%d bytes allocated", got)
			}
		})
	}
}

func FuzzCutsDoNotMatter(f *testing.F) {
	for _, c := range captures(f) {
		all := sessiontest.Joined(c.Pieces)
		f.Add(all[0].Data, all[1].Data, []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, client, server, cuts []byte) {
		whole := both(client, server)
		cut := sessiontest.Recut(whole, sessiontest.SizesOf(cuts))
		if diff := sessiontest.Difference(sessiontest.Decode(right(), whole), sessiontest.Decode(right(), cut)); diff != "" {
			t.Errorf("(-whole +cut):\n%s", diff)
		}
	})
}
