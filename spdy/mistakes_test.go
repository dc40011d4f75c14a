package spdy_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/spdy"

	ref "github.com/moby/spdystream/spdy"
)

// An input is one of a fuzz target's corpus.
type input struct {
	name   string
	stream []byte // edited
	cuts   cuts
}

// corpus loads what is committed for a fuzz target.
func corpus(t *testing.T, target string) (all []input) {
	t.Helper()
	for _, seed := range sessiontest.Corpus(t, target) {
		all = append(all, input{seed.Name, edited(t, seed.Args[0], seed.Args[1]), seed.Args[2]})
	}
	return all
}

// Each of these was made before, by recorders that looked right. The committed
// corpus alone has to tell them from package spdy, by what they would not have
// recorded.
func TestTheCorpusCatchesMistakes(t *testing.T) {
	tests := []struct {
		name  string
		wrong subject
	}{
		{"stream ids masked to 7 bits", subject{decoder: right, mistake: masked}},
		{"HEADERS skipped, block and all", subject{decoder: right, mistake: withoutHeaders}},
		{"the length of RST_STREAM believed", subject{decoder: right, mistake: believingRst}},
		{"a second stdout takes over", subject{decoder: func() session.Decoder { return &takenOver{Decoder: right()} }}},
	}
	inputs := corpus(t, "FuzzClientAgainstSpdystream")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var by []string
			for _, in := range inputs {
				if slices.ContainsFunc(test.wrong.client(t, in.stream, in.cuts), isP2) {
					by = append(by, in.name)
				}
			}
			if len(by) == 0 {
				t.Error("nothing in the corpus shows it")
			}
			t.Log("shown by", by)
		})
	}
}

func isP2(finding string) bool { return strings.HasPrefix(finding, "P2") }

// split cuts a stream into its frames; what can't be decoded stays with the
// last one.
func split(stream []byte) (all [][]byte) {
	start := int64(0)
	for _, f := range spdy.Frames(stream) {
		if f.Offset > start {
			all = append(all, stream[start:f.Offset])
			start = f.Offset
		}
	}
	return append(all, stream[start:])
}

func kind(frame []byte) ref.ControlFrameType {
	if len(frame) < 12 || frame[0]&0x80 == 0 {
		return 0
	}
	return ref.ControlFrameType(binary.BigEndian.Uint16(frame[2:]))
}

func masked(stream []byte) []byte {
	frames := split(slices.Clone(stream))
	for _, f := range frames {
		id := f[:min(len(f), 4)]
		if kind(f) != 0 {
			id = f[8:12]
		}
		for i := range id {
			id[i] &= []byte{0, 0, 0, 0x7f}[i]
		}
	}
	return slices.Concat(frames...)
}

func withoutHeaders(stream []byte) []byte {
	return slices.Concat(slices.DeleteFunc(split(stream), func(f []byte) bool { return kind(f) == ref.TypeHeaders })...)
}

func believingRst(stream []byte) (read []byte) {
	skip := 0
	for _, f := range split(stream) {
		n := min(skip, len(f))
		read, skip = append(read, f[n:]...), skip-n
		if n == 0 && kind(f) == ref.TypeRstStream {
			skip = max(0, int(f[5])<<16|int(f[6])<<8|int(f[7])-8)
		}
	}
	return read
}

// takenOver hears the server only on the last stdout that the client opened.
type takenOver struct {
	session.Decoder
	client []byte
}

// Feed implements [session.Decoder].
func (t *takenOver) Feed(from session.Direction, p []byte, emit func(session.Event)) error {
	if from == session.FromClient {
		t.client = append(t.client, p...)
		return t.Decoder.Feed(from, p, emit)
	}
	var last uint32
	streams, _ := accepted(spdy.Frames(t.client))
	stdouts := map[uint32]bool{}
	for _, o := range streams {
		if o.streamType == session.Stdout.String() {
			last, stdouts[o.id] = o.id, true
		}
	}
	for _, f := range split(p) {
		if id := binary.BigEndian.Uint32(f); stdouts[id] && id != last {
			continue
		}
		if err := t.Decoder.Feed(from, f, emit); err != nil {
			return err
		}
	}
	return nil
}
