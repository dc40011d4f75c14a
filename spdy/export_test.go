package spdy

import "bytes"

// Dictionary is what zlib contexts begin with.
var Dictionary = dictionary

// Frame is what can be seen of a frame from outside, whoever decoded it.
type Frame struct {
	Offset     int64  // of its header in the stream
	Kind       uint16 // its type; 0 for a data frame
	ID         uint32 // the first word behind a control frame's header: mostly a stream's
	Flags      byte
	StreamType string
	Data       []byte
}

// Frames returns what a reader finds in one direction's pieces until it gives
// up. The last one, if it is a data frame, may lack its end.
func Frames(pieces ...[]byte) []Frame {
	v := &view{}
	v.reader.to = v
	for _, p := range pieces {
		if _, err := v.reader.frames.Feed(p, &v.reader); err != nil {
			break
		}
	}
	return v.frames
}

// view is what a reader tells in these tests, instead of a Decoder.
type view struct {
	reader reader
	frames []Frame
}

// dataFrame implements [frames].
func (v *view) dataFrame(h header) {
	v.frames = append(v.frames, Frame{Offset: v.reader.frames.Offset(), ID: h.streamID(), Flags: h.flags()})
}

// payload implements [frames].
func (v *view) payload(_ header, p []byte) {
	last := &v.frames[len(v.frames)-1]
	last.Data = append(last.Data, bytes.Clone(p)...)
}

// dataEnd implements [frames].
func (v *view) dataEnd(header) {}

// controlFrame implements [frames].
func (v *view) controlFrame(h header, streamType string) error {
	v.frames = append(v.frames, Frame{Offset: v.reader.frames.Offset(), Kind: uint16(h.frameType()), ID: h.word(0), Flags: h.flags(), StreamType: streamType})
	return nil
}
