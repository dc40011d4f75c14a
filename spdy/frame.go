package spdy

import "encoding/binary"

// header is the first 8 bytes of every frame.
//
//	control: |1| version (15) | type (16) | flags (8) | length (24) |
//	data:    |0| stream id (31)           | flags (8) | length (24) |
//
// The server never looks at the version.
type header []byte

const headerSize = 8

func (h header) control() bool          { return h[0]&0x80 != 0 }
func (h header) frameType() frameType   { return frameType(binary.BigEndian.Uint16(h[2:])) }
func (h header) streamID() uint32       { return binary.BigEndian.Uint32(h) &^ (1 << 31) }
func (h header) flags() byte            { return h[4] }
func (h header) length() int            { return int(h[5])<<16 | int(h[6])<<8 | int(h[7]) }
func (h header) word(offset int) uint32 { return binary.BigEndian.Uint32(h[headerSize+offset:]) }

// frameType is the type of a control frame.
type frameType uint16

const (
	synStream    frameType = 1
	synReply     frameType = 2
	rstStream    frameType = 3
	settings     frameType = 4
	ping         frameType = 6
	goAway       frameType = 7
	headers      frameType = 8
	windowUpdate frameType = 9
)

// fixedSize is how many bytes the server reads after the header before
// anything of variable size, whatever the header's length claims. NOOP (5) and
// the types above 9 have none: they end the connection.
var fixedSize = map[frameType]int{
	synStream:    10, // stream id, associated stream id, priority, slot; then a header block
	synReply:     4,  // stream id; then a header block
	rstStream:    8,  // stream id, status
	settings:     4,  // n; then n pairs of 8 bytes
	ping:         4,  // id
	goAway:       8,  // last good stream id, status
	headers:      4,  // stream id; then a header block
	windowUpdate: 8,  // stream id, delta
}

// hasBlock reports whether a header block follows the fixed part.
func (t frameType) hasBlock() bool {
	return t == synStream || t == synReply || t == headers
}

const flagFin = 0x01
