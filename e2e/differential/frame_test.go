package differential

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// frame is a client's, taken apart so that each part can be changed alone.
type frame struct {
	first   byte // FIN, RSV, opcode
	masked  bool
	key     [4]byte
	form    int    // how many bits the length is written in: 7, 16 or 64
	length  uint64 // as it is written, whatever the payload's is
	payload []byte // without its mask; less than its length if the stream ends
}

// split takes a stream apart. A header that is not whole, at its end, is tail.
func split(stream []byte) (all []frame, tail []byte) {
	for len(stream) > 0 {
		f, n, ok := parse(stream)
		if !ok {
			return all, stream
		}
		all, stream = append(all, f), stream[n:]
	}
	return all, nil
}

func parse(b []byte) (f frame, n int, ok bool) {
	if len(b) < 2 {
		return f, 0, false
	}
	f.first, f.masked, f.form, f.length, n = b[0], b[1]&0x80 != 0, 7, uint64(b[1]&0x7f), 2
	switch {
	case f.length == 126 && len(b) >= 4:
		f.form, f.length, n = 16, uint64(binary.BigEndian.Uint16(b[2:])), 4
	case f.length == 127 && len(b) >= 10:
		f.form, f.length, n = 64, binary.BigEndian.Uint64(b[2:]), 10
	case f.length >= 126:
		return f, 0, false
	}
	if f.masked {
		if n += copy(f.key[:], b[n:]); len(b) < n || n < 6 {
			return f, 0, false
		}
	}
	size := int(min(f.length&^(1<<63), uint64(len(b)-n)))
	f.payload = bytes.Clone(b[n : n+size])
	f.mask(f.payload)
	return f, n + size, true
}

// mask masks p, or unmasks it.
func (f *frame) mask(p []byte) {
	if !f.masked {
		return
	}
	for i := range p {
		p[i] ^= f.key[i%4]
	}
}

// appendTo puts f back together.
func (f *frame) appendTo(b []byte) []byte {
	mask := byte(0)
	if f.masked {
		mask = 0x80
	}
	switch f.form {
	case 7:
		b = append(b, f.first, mask|byte(f.length))
	case 16:
		b = binary.BigEndian.AppendUint16(append(b, f.first, mask|126), uint16(f.length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, f.first, mask|127), f.length)
	}
	if f.masked {
		b = append(b, f.key[:]...)
	}
	start := len(b)
	b = append(b, f.payload...)
	f.mask(b[start:])
	return b
}

func join(all []frame, tail []byte) (stream []byte) {
	for _, f := range all {
		stream = f.appendTo(stream)
	}
	return append(stream, tail...)
}

// edit returns stream with what edits says done to its frames: each three
// bytes of it are a deed, the frame that it is done to, and a value.
func edit(stream, edits []byte) []byte {
	all, tail := split(stream)
	for ; len(edits) >= 3 && len(all) > 0 && len(all) < 64; edits = edits[3:] {
		deed, i, value := edits[0], int(edits[1])%len(all), edits[2]
		switch deed % 3 {
		case 0:
			all = rearrange(all, deed/3, i, value)
		case 1:
			all[i].distort(deed/3, value)
		default:
			all[i].fill(deed/3, value)
		}
	}
	return join(all, tail)
}

// rearrange moves, repeats or removes the frame i.
func rearrange(all []frame, deed byte, i int, value byte) []frame {
	switch j := int(value) % len(all); deed % 3 {
	case 0:
		all[i], all[j] = all[j], all[i]
	case 1:
		f := all[i]
		f.payload = bytes.Clone(f.payload)
		all = append(all, f)
	default:
		all = append(all[:i], all[i+1:]...)
	}
	return all
}

// distort changes a frame's header.
func (f *frame) distort(deed, value byte) {
	switch deed % 8 {
	case 0:
		f.first = value
	case 1:
		f.masked = !f.masked
	case 2:
		f.key[0] ^= value
	case 3:
		f.form = 16
	case 4:
		f.form = 64
	case 5:
		f.form, f.length = 64, f.length^1<<63
	case 6: // around what the server reads at most
		f.form, f.length = 64, 32<<20-1+uint64(value%3)
	default: // too short or too long for the payload
		f.length += uint64(int64(int8(value)))
	}
}

// fill changes a frame's payload, and its length with it.
func (f *frame) fill(deed, value byte) {
	switch deed % 4 {
	case 0:
		f.payload = append([]byte{value}, f.payload...)
	case 1:
		if len(f.payload) > 0 {
			f.payload[0] = value
		}
	case 2:
		f.payload = append(f.payload, strings.Repeat(string(rune(value&0x7f)), int(value))...)
	default:
		f.payload = f.payload[:len(f.payload)*int(value)/256]
	}
	f.resized()
}

// resized makes the length that of the payload, in the shortest form.
func (f *frame) resized() {
	f.length = uint64(len(f.payload))
	switch {
	case f.length < 126:
		f.form = 7
	case f.length < 1<<16:
		f.form = 16
	default:
		f.form = 64
	}
}
