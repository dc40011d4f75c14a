package spdy_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"exectape/session"
	"exectape/spdy"

	ref "github.com/moby/spdystream/spdy"
)

// A verdict is what spdystream's framer makes of one direction.
type verdict struct {
	frames  []spdy.Frame
	stopped int64 // where the frame begins that it did not return: refused, or not all there
}

// reference runs the framer alone over stream as it comes in cuts, because
// what it accepts depends on them: it wants a header block's last byte drawn
// before it has read the last header.
func reference(tb testing.TB, stream []byte, cuts cuts) verdict {
	tb.Helper()
	r := &cutReader{b: stream, cuts: cuts}
	framer, err := ref.NewFramer(io.Discard, r)
	if err != nil {
		tb.Fatal(err)
	}
	var v verdict
	for {
		v.stopped = r.read
		f, err := framer.ReadFrame()
		if err != nil {
			return v
		}
		v.frames = append(v.frames, seenFrame(f, v.stopped))
	}
}

// seenFrame is f, which began at offset, in our words.
func seenFrame(f ref.Frame, offset int64) spdy.Frame {
	control := func(kind ref.ControlFrameType, id ref.StreamId, h ref.ControlFrameHeader, headers http.Header) spdy.Frame {
		streamType := headers.Get("streamtype")
		return spdy.Frame{Offset: offset, Kind: uint16(kind), ID: uint32(id), Flags: byte(h.Flags), StreamType: streamType[:min(len(streamType), 512)]}
	}
	switch f := f.(type) {
	case *ref.DataFrame:
		return spdy.Frame{Offset: offset, ID: uint32(f.StreamId), Flags: byte(f.Flags), Data: f.Data}
	case *ref.SynStreamFrame:
		return control(ref.TypeSynStream, f.StreamId, f.CFHeader, f.Headers)
	case *ref.SynReplyFrame:
		return control(ref.TypeSynReply, f.StreamId, f.CFHeader, f.Headers)
	case *ref.HeadersFrame:
		return control(ref.TypeHeaders, f.StreamId, f.CFHeader, f.Headers)
	case *ref.RstStreamFrame:
		return control(ref.TypeRstStream, f.StreamId, f.CFHeader, nil)
	case *ref.SettingsFrame:
		return control(ref.TypeSettings, ref.StreamId(len(f.FlagIdValues)), f.CFHeader, nil)
	case *ref.PingFrame:
		return control(ref.TypePing, ref.StreamId(f.Id), f.CFHeader, nil)
	case *ref.GoAwayFrame:
		return control(ref.TypeGoAway, f.LastGoodStreamId, f.CFHeader, nil)
	case *ref.WindowUpdateFrame:
		return control(ref.TypeWindowUpdate, f.StreamId, f.CFHeader, nil)
	}
	panic("a frame that spdystream has learned since")
}

// opened is a stream that the server accepted.
type opened struct {
	id         uint32
	streamType string
}

// accepted is a model of the server's Connection, which itself is concurrent:
// the streams it accepts up to the first GOAWAY (connection.go,
// validateStreamId), and what the client sends on those that are its stdin.
func accepted(frames []spdy.Frame) (all []opened, stdin []byte) {
	next := uint32(1)
	types := map[uint32]string{}
	for _, f := range frames {
		switch ref.ControlFrameType(f.Kind) {
		case ref.TypeGoAway:
			return all, stdin
		case ref.TypeSynStream:
			if f.ID > 1<<31-1 || f.ID < next {
				continue
			}
			next = f.ID + 2
			types[f.ID] = f.StreamType
			all = append(all, opened{f.ID, f.StreamType})
		case 0:
			if types[f.ID] == session.Stdin.String() {
				stdin = append(stdin, f.Data...)
			}
		}
	}
	return all, stdin
}

// cuts are the sizes of the pieces in which a stream comes, again and again
// from the first; 0 counts as 1, and none at all for a single piece.
type cuts []byte

// pieces cuts stream.
func (c cuts) pieces(stream []byte) (all [][]byte) {
	if len(c) == 0 {
		return [][]byte{stream}
	}
	for i := 0; len(stream) > 0; i++ {
		n := min(max(int(c[i%len(c)]), 1), len(stream))
		all = append(all, stream[:n])
		stream = stream[n:]
	}
	return all
}

// cutReader returns a stream as it comes.
type cutReader struct {
	b      []byte
	cuts   cuts
	pieces [][]byte
	read   int64
}

// Read implements [io.Reader].
func (r *cutReader) Read(p []byte) (int, error) {
	if r.b != nil {
		r.pieces, r.b = r.cuts.pieces(r.b), nil
	}
	for len(r.pieces) > 0 && len(r.pieces[0]) == 0 {
		r.pieces = r.pieces[1:]
	}
	if len(r.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.pieces[0])
	r.pieces[0] = r.pieces[0][n:]
	r.read += int64(n)
	return n, nil
}

// sameFrame compares all but how nothing is written.
func sameFrame(a, b spdy.Frame) bool {
	data := bytes.Equal(a.Data, b.Data)
	a.Data, b.Data = nil, nil
	return data && a.Offset == b.Offset && a.Kind == b.Kind && a.ID == b.ID && a.Flags == b.Flags && a.StreamType == b.StreamType
}
