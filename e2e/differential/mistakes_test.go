package differential

import (
	"bytes"
	"slices"
	"testing"

	"exectape/session/sessiontest"
	"exectape/websocket"
)

// mistakes are decoders that somebody might well write, some of them by the
// book. Each is ours, fed what it would take the client's frames for.
var mistakes = []struct {
	name string
	take func(f *frame) verdict
}{
	{"reserved opcodes are skipped", func(f *frame) verdict {
		return skipIf(f.first&0x07 > 2)
	}},
	{"reserved opcodes end the connection", func(f *frame) verdict {
		return stopIf(f.first&0x07 > 2)
	}},
	{"RSV bits end the connection", func(f *frame) verdict {
		return stopIf(f.first&0x70 != 0)
	}},
	{"text is none of a channel's business", func(f *frame) verdict {
		return skipIf(f.first&0x0f == 1)
	}},
	{"a continuation without a message ends the connection", func(f *frame) verdict {
		return stopIf(f.first&0x8f == 0x80)
	}},
	{"the top bit of a length counts", func(f *frame) verdict {
		return stopIf(f.length&(1<<63) != 0)
	}},
	{"lengths have one form", func(f *frame) verdict {
		shortest := frame{payload: f.payload}
		shortest.resized()
		return stopIf(f.form != shortest.form)
	}},
	{"there is no largest frame", func(f *frame) verdict {
		f.length = min(f.length, 32<<20)
		return taken
	}},
	{"the largest frame is smaller by one byte", func(f *frame) verdict {
		return stopIf(f.length == 32<<20)
	}},
	{"frames need no mask", func(f *frame) verdict {
		f.masked = true
		return taken
	}},
	{"the mask begins with its second byte", func(f *frame) verdict {
		for i := range f.payload {
			f.payload[i] ^= f.key[i%4] ^ f.key[(i+1)%4]
		}
		return taken
	}},
	{"a ping has 125 bytes at most", func(f *frame) verdict {
		return stopIf(f.first&0x0f == 9 && len(f.payload) > 125)
	}},
	{"nothing ends with a close frame", func(f *frame) verdict {
		return skipIf(f.first&0x0f == 8)
	}},
	{"an empty frame ends the connection", func(f *frame) verdict {
		return stopIf(f.length == 0 && f.first&0x0f < 3)
	}},
	{"an unknown channel ends the connection", func(f *frame) verdict {
		return stopIf(len(f.payload) > 0 && f.first&0x0f < 3 && f.payload[0]&0x0f > 4)
	}},
	{"base64 has no line breaks", func(f *frame) verdict {
		return skipIf(f.digit() && bytes.ContainsAny(f.payload, "\r\n"))
	}},
	{"base64 without its padding is as good", func(f *frame) verdict {
		for f.digit() && len(f.payload)%4 != 1 {
			f.payload = append(f.payload, '=')
		}
		f.length = max(f.length, uint64(len(f.payload)))
		return taken
	}},
}

// digit reports whether f's first byte is a channel of a base64 subprotocol.
func (f *frame) digit() bool {
	return len(f.payload) > 0 && '0' <= f.payload[0] && f.payload[0] <= '4'
}

// verdict is what becomes of a frame.
type verdict int

const (
	taken verdict = iota
	skipped
	stopped // and so is the decoder
)

func skipIf(b bool) verdict {
	if b {
		return skipped
	}
	return taken
}

func stopIf(b bool) verdict {
	if b {
		return stopped
	}
	return taken
}

// mistaken is a decoder that makes one mistake.
func mistaken(take func(f *frame) verdict) decoding {
	return func(subprotocol string, pieces [][]byte) reading {
		all, tail := split(slices.Concat(pieces...))
		var seen []byte
		for i := range all {
			switch take(&all[i]) {
			case taken:
				seen = all[i].appendTo(seen)
			case stopped:
				return ours(subprotocol, [][]byte{seen})
			}
		}
		return ours(subprotocol, [][]byte{append(seen, tail...)})
	}
}

// joining is a decoder that reads messages, not frames, as the RFC has it: the
// first byte of a continuation is data to it.
func joining(subprotocol string, pieces [][]byte) reading {
	if isBase64(subprotocol) {
		return ours(subprotocol, pieces)
	}
	return read(websocket.New("v5.channel.k8s.io"), pieces)
}

func TestTheCorpusAloneFindsEveryMistake(t *testing.T) {
	corpus := committed(t)
	differs := func(decode decoding) bool {
		return slices.ContainsFunc(corpus, func(in input) bool {
			return len(disagreements(decode, in.subprotocol, in.stream, in.cuts)) > 0
		})
	}
	if differs(ours) || differs(mistaken(func(*frame) verdict { return taken })) {
		t.Error("found, where there is none")
	}
	if !differs(joining) {
		t.Error("not found: frames are joined to messages")
	}
	for _, m := range mistakes {
		if !differs(mistaken(m.take)) {
			t.Errorf("not found: %s", m.name)
		}
	}
}

// input is one of FuzzClient's.
type input struct {
	subprotocol  string
	stream, cuts []byte
}

// committed returns FuzzClient's corpus.
func committed(t *testing.T) (all []input) {
	t.Helper()
	for _, seed := range sessiontest.Corpus(t, "FuzzClient") {
		all = append(all, input{
			subprotocol: subprotocols[int(seed.Args[0][0])%len(subprotocols)],
			stream:      edit(seed.Args[1], seed.Args[2]),
			cuts:        seed.Args[3],
		})
	}
	return all
}
