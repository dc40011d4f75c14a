package websocket

import "encoding/binary"

// header is what precedes a frame's payload, as far as it has come.
//
//	| FIN | RSV (3) | opcode (4) | MASK | length (7) |
//	| length (16 if the first is 126, 64 if it is 127) | key (32, if MASK) |
//
// The server looks at neither FIN nor RSV, takes a length in any of its three
// forms, and does not look at the highest of 64 bits.
type header []byte

const (
	minHeader = 2
	keySize   = 4
)

// The opcodes that the server treats in a way of their own. All others, those
// that the RFC reserves too, are data.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

func (h header) fin() bool      { return h[0]&0x80 != 0 }
func (h header) extended() bool { return h[0]&0x70 != 0 }
func (h header) opcode() byte   { return h[0] & 0x0f }
func (h header) masked() bool   { return h[1]&0x80 != 0 }

// data reports whether the payload is for a channel.
func (h header) data() bool {
	op := h.opcode()
	return op != opClose && op != opPing && op != opPong
}

// size returns how long the whole header is, by its first two bytes.
func (h header) size() int {
	size := minHeader
	switch h[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if h.masked() {
		size += keySize
	}
	return size
}

// length returns the payload's length, of a complete header.
func (h header) length() int64 {
	switch n := h[1] & 0x7f; n {
	case 126:
		return int64(binary.BigEndian.Uint16(h[minHeader:]))
	case 127:
		return int64(binary.BigEndian.Uint64(h[minHeader:]) &^ (1 << 63))
	default:
		return int64(n)
	}
}

// key returns the mask of a complete header that has one.
func (h header) key() []byte { return h[len(h)-keySize:] }

// makeFrame makes a whole frame as a server sends it.
func makeFrame(opcode byte, payload []byte) []byte {
	b := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}
