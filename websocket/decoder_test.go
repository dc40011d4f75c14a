package websocket_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/session/sessiontest/hostile"
	"exectape/websocket"

	"github.com/google/go-cmp/cmp"
)

// The subprotocols with a different reading of the same bytes.
const (
	base64v4 = "v4.base64.channel.k8s.io"
	v5       = "v5.channel.k8s.io"
)

// decodeCut decodes what from sends, in every cut that is worth trying.
func decodeCut(t *testing.T, subprotocol string, from session.Direction, wire []byte) sessiontest.Seen {
	t.Helper()
	pieces := []sessiontest.Piece{{From: from, Data: wire}}
	decoder := func() session.Decoder { return websocket.New(subprotocol) }
	sessiontest.CutsDoNotMatter(t, decoder, pieces)
	return sessiontest.Decode(decoder(), pieces)[from]
}

// stdin is what the input of a client comes to.
func stdin(data string) sessiontest.Seen {
	return sessiontest.Seen{{Kind: session.Input, Stream: session.Stdin, Data: []byte(data)}}
}

func TestAClientsFramesAreReadAsTheServerReadsThem(t *testing.T) {
	const hello = "\x00hello"
	join := func(frames ...[]byte) []byte { return slices.Concat(frames...) }
	tests := []struct {
		name  string
		wire  []byte
		stdin string
	}{
		{"binary", masked(fin|binaryFrame, hello), "hello"},
		{"text", masked(fin|text, hello), "hello"},
		{"without FIN", masked(binaryFrame, hello), "hello"},
		{"with every RSV bit", masked(fin|rsv|binaryFrame, hello), "hello"},
		{"the lowest reserved opcode for data", masked(fin|3, hello), "hello"},
		{"the highest reserved opcode for data", masked(fin|7, hello), "hello"},
		{"the lowest reserved opcode for control", masked(fin|11, hello), "hello"},
		{"the highest reserved opcode for control", masked(fin|15, hello), "hello"},
		{"a continuation of nothing", masked(fin|continuation, hello), "hello"},
		{"a continuation, which has a channel of its own", join(masked(binaryFrame, "\x00hel"), masked(fin|continuation, "\x00lo")), "hello"},
		{"a continuation that goes on with another channel", join(masked(binaryFrame, "\x00hello"), masked(fin|continuation, "\x01lo")), "hello"},
		{"126 bytes", masked(fin|binaryFrame, "\x00"+strings.Repeat("x", 125)), strings.Repeat("x", 125)},
		{"65536 bytes", masked(fin|binaryFrame, "\x00"+strings.Repeat("x", 65535)), strings.Repeat("x", 65535)},
		{"16 bits for a length of 6", extended(fin|binaryFrame, hostile.Bits16, 6, hello), "hello"},
		{"64 bits for a length of 6", extended(fin|binaryFrame, hostile.Bits63, 6, hello), "hello"},
		{"the top bit of 64", extended(fin|binaryFrame, hostile.Bits63, 1<<63|6, hello), "hello"},
		{"a payload that never ends", extended(fin|binaryFrame, hostile.Bits63, 32<<20, hello), "hello"},
		{"empty frames between", join(masked(fin|binaryFrame, ""), masked(fin|binaryFrame, hello), masked(fin|text, "")), "hello"},
		{"a channel and nothing else", join(masked(fin|binaryFrame, "\x00"), masked(fin|binaryFrame, hello)), "hello"},
		{"channels that the server does not read", join(masked(fin|binaryFrame, "\x01a"), masked(fin|binaryFrame, "\x02a"), masked(fin|binaryFrame, "\x03a"),
			masked(fin|binaryFrame, "\x05a"), masked(fin|binaryFrame, "0a"), masked(fin|binaryFrame, hello)), "hello"},
		{"the end of stdin, which only v5 knows, and more of it", join(masked(fin|binaryFrame, "\xff\x00"), masked(fin|binaryFrame, hello)), "hello"},
		{"pings and pongs between", join(masked(fin|ping, ""), masked(fin|binaryFrame, "\x00hel"), masked(fin|pong, "\x00no"), masked(fin|binaryFrame, "\x00lo")), "hello"},
		{"a ping larger than any may be", join(masked(ping, strings.Repeat("\x00", 70000)), masked(fin|binaryFrame, hello)), "hello"},
		{"a close frame with whatever it says", join(masked(fin|binaryFrame, hello), masked(fin|closeFrame, "\x03\xe8\x00bye")), "hello"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(stdin(test.stdin), decodeCut(t, v4, session.FromClient, test.wire)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyV5JoinsFramesToMessages(t *testing.T) {
	wire := slices.Concat(masked(binaryFrame, ""), masked(continuation, "\x00he"), masked(fin|ping, "\x00"), masked(fin|continuation, "\x00llo"))
	for subprotocol, want := range map[string]string{v5: "he\x00llo", v4: "hello", "channel.k8s.io": "hello", "": "hello"} {
		if diff := cmp.Diff(stdin(want), decodeCut(t, subprotocol, session.FromClient, wire)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", subprotocol, diff)
		}
	}
}

// The server decodes a whole frame or none of it; a decoder that waits for no
// frame's end has told what came before the mistake.
func TestBase64IsReadAsTheServerReadsIt(t *testing.T) {
	tests := []struct{ name, message, stdin string }{
		{"padded twice", "0aGVsbA==", "hell"},
		{"padded once", "0aGVsbG8=", "hello"},
		{"not padded", "0aGVsbG8h", "hello!"},
		{"lines of any kind, in the padding too", "0aGV\nsb\r\nA=\r=\n", "hell"},
		{"bits that padding leaves over", "0aGVsbG9=", "hello"},
		{"larger than what is decoded at once", digits(0, strings.Repeat("hello", 5000)), strings.Repeat("hello", 5000)},
		{"with its mistake at the end", "0aGVsbG8h!", "hello!"},
		{"with something behind the padding", "0aGVsbG8=aGVs", "hello"},
		{"without the padding", "0aGVsbG8", "hel"},
		{"of the alphabet for URLs", "0aGVs_-8=", "hel"},
		{"on a channel that is no digit", "\x00aGVsbG8h", ""},
		{"on a channel beyond the digits", "5aGVsbG8h", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var want sessiontest.Seen
			if test.stdin != "" {
				want = stdin(test.stdin)
			}
			if diff := cmp.Diff(want, decodeCut(t, base64v4, session.FromClient, masked(fin|text, test.message))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMistakeInBase64EndsWithItsFrame(t *testing.T) {
	wire := slices.Concat(masked(fin|text, "0aGVs=bG8h"), masked(fin|text, digits(0, "hello")))
	if diff := cmp.Diff(stdin("hel"+"hello"), decodeCut(t, base64v4, session.FromClient, wire)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResizes(t *testing.T) {
	const small, large = `{"Width":81,"Height":25}`, `{"Width":132,"Height":43}`
	sizes := []session.Size{{Cols: 81, Rows: 25}, {Cols: 132, Rows: 43}}
	tests := []struct {
		name, subprotocol string
		messages          []string
		want              []session.Size
	}{
		{"one a frame", v4, []string{"\x04" + small, "\x04" + large}, sizes},
		{"two a frame", v4, []string{"\x04" + small + large}, sizes},
		{"one over two frames", v4, []string{"\x04" + small[:7], "\x00input", "\x04" + small[7:] + large}, sizes},
		{"none behind what is none", v4, []string{"\x04" + small, "\x04-1", "\x04" + large}, sizes[:1]},
		{"in base64", base64v4, []string{digits(4, small), digits(4, large)}, sizes},
		{"one over two frames of base64", base64v4, []string{digits(4, small[:7]), digits(4, small[7:]+large)}, sizes},
		{"nothing of a frame that is spoilt", base64v4, []string{digits(4, small), digits(4, "-1") + "!", digits(4, large)}, sizes},
		{"nothing of a frame that ends early", base64v4, []string{digits(4, small), "4" + "LTE", digits(4, large)}, sizes},
		{"more than is held back", base64v4, []string{digits(4, strings.Repeat(" ", 5000)+small), digits(4, large)}, sizes},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var wire []byte
			for _, m := range test.messages {
				wire = append(wire, masked(fin|binaryFrame, m)...)
			}
			if diff := cmp.Diff(test.want, decodeCut(t, test.subprotocol, session.FromClient, wire).Sizes()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheServerSends(t *testing.T) {
	output := func(stream session.Stream, data string) session.Event {
		return session.Event{Kind: session.Output, Stream: stream, Data: []byte(data)}
	}
	raw := func(data string) session.Event {
		return session.Event{Kind: session.Raw, From: session.FromServer, Data: []byte(data)}
	}
	success := session.Event{Kind: session.Status, Exit: &session.Exit{}}
	const status = `{"metadata":{},"status":"Success"}`
	tests := []struct {
		name, subprotocol string
		frames            [][]byte
		want              sessiontest.Seen
	}{
		{"its first message, which is empty", v4, [][]byte{plain(fin|binaryFrame, "\x01")}, nil},
		{"both outputs", v4, [][]byte{plain(fin|binaryFrame, "\x01out"), plain(fin|binaryFrame, "\x02err")},
			sessiontest.Seen{output(session.Stdout, "out"), output(session.Stderr, "err")}},
		{"a status", v4, [][]byte{plain(fin|binaryFrame, "\x03"+status)}, sessiontest.Seen{success}},
		{"something behind a status", v4, [][]byte{plain(fin|binaryFrame, "\x03"+status+"more")}, sessiontest.Seen{success, raw("more")}},
		{"plain text of before v4", "channel.k8s.io", [][]byte{plain(fin|binaryFrame, "\x03it failed")},
			sessiontest.Seen{{Kind: session.Status, Exit: &session.Exit{Code: session.NoCode, Message: "it failed"}}}},
		{"base64", base64v4, [][]byte{plain(fin|text, digits(1, "out")), plain(fin|text, digits(2, "err")), plain(fin|text, digits(3, status))},
			sessiontest.Seen{output(session.Stdout, "out"), output(session.Stderr, "err"), success}},
		{"base64 with a mistake", base64v4, [][]byte{plain(fin|text, "1b3V0b\n3!0b3\nV0"), plain(fin|text, "1b3V0b3")},
			sessiontest.Seen{output(session.Stdout, "out"), raw("b3!0b3V0"), output(session.Stdout, "out"), raw("b3")}},
		{"a channel without a meaning", v4, [][]byte{plain(fin|binaryFrame, "\x07what"), plain(fin|binaryFrame, "\x01out"), plain(fin|binaryFrame, "\x00")},
			sessiontest.Seen{raw("\x82\x05\x07what"), output(session.Stdout, "out"), raw("\x82\x01\x00")}},
		{"base64 on a channel without a meaning", base64v4, [][]byte{plain(fin|text, "7d2hh\ndA=="), plain(fin|text, digits(1, "out"))},
			sessiontest.Seen{raw("\x81\x0a7d2hh\ndA=="), output(session.Stdout, "out")}},
		{"fragments, which every client joins", v4, [][]byte{plain(binaryFrame, "\x01o"), plain(fin|ping, "\x02no"), plain(continuation, "\x01u"), plain(fin|continuation, "t")},
			sessiontest.Seen{output(session.Stdout, "o\x01ut")}},
		{"fragments on a channel without a meaning", v4, [][]byte{plain(binaryFrame, "\x07w"), plain(continuation, ""), plain(fin|continuation, "hat")},
			sessiontest.Seen{raw("\x02\x02\x07w\x80\x03hat")}},
		{"fragments of base64", base64v4, [][]byte{plain(text, "1b3"), plain(fin|continuation, "V0")}, sessiontest.Seen{output(session.Stdout, "out")}},
		{"pings, pongs, and output behind its close frame", v4, [][]byte{plain(fin|ping, "\x01no"), plain(fin|pong, "\x01no"), plain(fin|closeFrame, "\x03\xe8"), plain(fin|binaryFrame, "\x01out")},
			sessiontest.Seen{output(session.Stdout, "out")}},
		{"more than 32 MiB", v4, [][]byte{[]byte("\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00\x01out")}, sessiontest.Seen{output(session.Stdout, "out")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := decodeCut(t, test.subprotocol, session.FromServer, slices.Concat(test.frames...))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatCanNotBeDecodedIsKeptFromItsFirstByte(t *testing.T) {
	tests := []struct {
		name, subprotocol string
		from              session.Direction
		before, bad       []byte
		why               string
	}{
		{"an unmasked frame", v4, session.FromClient, nil, plain(fin|binaryFrame, "\x00hello"), "not masked"},
		{"an unmasked empty one", v4, session.FromClient, nil, plain(fin|binaryFrame, ""), "not masked"},
		{"an unmasked ping", v4, session.FromClient, nil, plain(fin|ping, strings.Repeat("x", 200)), "not masked"},
		{"an unmasked close", v4, session.FromClient, nil, plain(fin|closeFrame, "\x03\xe8"), "not masked"},
		{"one byte more than 32 MiB", v4, session.FromClient, nil, extended(fin|binaryFrame, hostile.Bits63, 32<<20+1, "\x00hello"), "at most 33554432"},
		{"2^63-1 bytes, whatever the top bit", v4, session.FromClient, nil, extended(fin|7, hostile.Bits63, 1<<64-1, "\x00hello"), "9223372036854775807 bytes"},
		{"data behind a close frame", v4, session.FromClient, masked(fin|closeFrame, "\x03\xe8"), masked(fin|binaryFrame, "\x00hello"), "behind the close frame"},
		{"a ping behind a close frame", v4, session.FromClient, masked(closeFrame, ""), masked(fin|ping, ""), "behind the close frame"},
		{"in v5, a continuation of nothing", v5, session.FromClient, nil, masked(fin|continuation, "\x00hello"), "continues no message"},
		{"in v5, a message inside another", v5, session.FromClient, masked(binaryFrame, "\x04"), masked(fin|binaryFrame, "\x00hello"), "inside a message"},
		{"a compressed frame of the server's", v4, session.FromServer, plain(fin|binaryFrame, "\x01"), plain(fin|0x40|binaryFrame, "\x01hello"), "extension"},
		{"a masked frame of the server's", v4, session.FromServer, nil, masked(fin|binaryFrame, "\x01hello"), "masked"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wire := slices.Concat(test.before, test.bad, []byte("and more"))
			events := decodeCut(t, test.subprotocol, test.from, wire)
			want := sessiontest.Seen{{Kind: session.Raw, From: test.from, Data: wire[len(test.before):]}}
			if diff := cmp.Diff(want, events); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			u, ok := websocket.New(test.subprotocol).Feed(test.from, wire, func(session.Event) {}).(*session.Undecodable)
			if !ok || !strings.Contains(u.Error(), test.why) {
				t.Fatalf("error = %v, want one about %q", u, test.why)
			}
			if u.From != test.from || u.Offset != int64(len(test.before)) {
				t.Errorf("undecodable from %v byte %d, want %d", u.From, u.Offset, len(test.before))
			}
		})
	}
}

func TestTheOtherDirectionGoesOn(t *testing.T) {
	d := newV4()
	if err := d.Feed(session.FromClient, plain(fin|text, ""), func(session.Event) {}); err == nil {
		t.Fatal("an unmasked frame was decoded")
	}
	var events sessiontest.Seen
	if err := d.Feed(session.FromServer, plain(fin|binaryFrame, "\x01out"), events.Add); err != nil {
		t.Fatal(err)
	}
	if got := events.Text(session.Output, session.Stdout); string(got) != "out" {
		t.Errorf("stdout = %q", got)
	}
}

func TestASubprotocolWithoutChannelsIsKeptRaw(t *testing.T) {
	wire := plain(fin|binaryFrame, "\x01hello")
	got := decodeCut(t, "SPDY/3.1+portforward.k8s.io", session.FromServer, wire)
	if !bytes.Equal(got.Text(session.Raw, 0), wire) {
		t.Errorf("events = %+v", got)
	}
}

func TestPendingNeverReachesBeyondAMessage(t *testing.T) {
	frames := [][]byte{
		plain(fin|binaryFrame, "\x01"),
		plain(fin|ping, ""),
		plain(fin|binaryFrame, "\x01"+strings.Repeat("x", 70000)),
		slices.Concat(plain(binaryFrame, "\x01"), plain(fin|ping, "x"), plain(fin|continuation, "out")),
		plain(fin|closeFrame, "\x03\xe8"),
	}
	d := newV4()
	for i, f := range frames {
		for rest := f; len(rest) > 0; {
			n := max(1, d.Pending(session.FromServer))
			if n > len(rest) {
				t.Fatalf("frame %d: %d bytes can be fed, there are %d", i, n, len(rest))
			}
			if err := d.Feed(session.FromServer, rest[:n], func(session.Event) {}); err != nil {
				t.Fatal(err)
			}
			if rest = rest[n:]; d.Pending(session.FromServer) == 0 && len(rest) > 0 {
				t.Errorf("frame %d: a boundary %d bytes before its end", i, len(rest))
			}
		}
		if n := d.Pending(session.FromServer); n != 0 {
			t.Errorf("frame %d: %d bytes pending at its end", i, n)
		}
	}
}

func TestTheFarewellIsAMessageAndAClose(t *testing.T) {
	const document = `{"metadata":{},"status":"Failure","message":"\"sorry\"","reason":"InternalError","code":500}`
	goodbye := plain(fin|closeFrame, "\x03\xe8")
	tests := map[string][]byte{
		v4:                      plain(fin|binaryFrame, "\x03"+document),
		v5:                      plain(fin|binaryFrame, "\x03"+document),
		base64v4:                plain(fin|text, digits(3, document)),
		"channel.k8s.io":        plain(fin|binaryFrame, "\x03\"sorry\""),
		"":                      plain(fin|binaryFrame, "\x03\"sorry\""),
		"base64.channel.k8s.io": plain(fin|text, digits(3, `"sorry"`)),
	}
	for subprotocol, message := range tests {
		d := websocket.New(subprotocol)
		if diff := cmp.Diff(append(message, goodbye...), d.Farewell(`"sorry"`)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", subprotocol, diff)
		}
		if err := d.Feed(session.FromServer, goodbye, func(session.Event) {}); err != nil {
			t.Fatal(err)
		}
		if got := d.Farewell("too late"); got != nil {
			t.Errorf("%q: behind the server's close frame: %q", subprotocol, got)
		}
	}
}

func TestAFarewellMayBeLong(t *testing.T) {
	for _, length := range []int{1, 124, 125, 65534, 65535} {
		sentence := strings.Repeat("x", length)
		want := slices.Concat(plain(fin|binaryFrame, "\x03"+sentence), plain(fin|closeFrame, "\x03\xe8"))
		if got := websocket.New("").Farewell(sentence); !bytes.Equal(got, want) {
			t.Errorf("of %d bytes: % x...", length, got[:12])
		}
	}
}

func FuzzCutsDoNotMatter(f *testing.F) {
	subprotocols := []string{v4, base64v4, v5, "channel.k8s.io"}
	for i, c := range captures(f) {
		all := sessiontest.Joined(c.Pieces)
		f.Add(byte(i), all[0].Data, all[1].Data, []byte{1, 2, 3})
	}
	f.Add(byte(1), masked(fin|text, "0aGV\nsbG8="), plain(text, "1b3V0b3V0"), []byte{5})
	f.Fuzz(func(t *testing.T, subprotocol byte, client, server, cuts []byte) {
		decoder := func() session.Decoder { return websocket.New(subprotocols[int(subprotocol)%len(subprotocols)]) }
		whole := []sessiontest.Piece{{From: session.FromClient, Data: client}, {From: session.FromServer, Data: server}}
		cut := sessiontest.Recut(whole, sessiontest.SizesOf(cuts))
		if diff := sessiontest.Difference(sessiontest.Decode(decoder(), whole), sessiontest.Decode(decoder(), cut)); diff != "" {
			t.Errorf("(-whole +cut):\n%s", diff)
		}
	})
}
