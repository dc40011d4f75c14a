package cast

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// escapes has, for each byte of UTF-8, 0 if it stands for itself in a JSON
// string, 'u' if it is written as \u00XX, and else the letter behind the
// backslash (RFC 8259, section 7).
var escapes = func() (t [256]byte) {
	for c := range 0x20 {
		t[c] = 'u'
	}
	t['\b'], t['\f'], t['\n'], t['\r'], t['\t'] = 'b', 'f', 'n', 'r', 't'
	t['"'], t['\\'] = '"', '\\'
	return t
}()

// sequences has what each byte is written as, so that it can be stored at once:
// the sequence begins in the lowest byte, and the highest says how long it is.
var sequences = func() (t [256]uint64) {
	const hex = "0123456789abcdef"
	for c, e := range escapes {
		var s [8]byte
		switch e {
		case 0:
			s[7] = byte(copy(s[:], []byte{byte(c)}))
		case 'u':
			s[7] = byte(copy(s[:], []byte{'\\', 'u', '0', '0', hex[c>>4], hex[c&0xf]}))
		default:
			s[7] = byte(copy(s[:], []byte{'\\', e}))
		}
		t[c] = binary.LittleEndian.Uint64(s[:])
	}
	return t
}()

const (
	longest = 6  // of the sequences
	block   = 16 // what escapeBlocks looks at at once

	// piece is how much is escaped without looking for room: it bounds the room
	// that is asked for and not used.
	piece = 1 << 10
)

// appendString appends text, which is UTF-8, as a JSON string.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		n := min(len(text), piece)
		dst = appendEscaped(dst, text[:n])
		text = text[n:]
	}
	return append(dst, '"')
}

// appendEscaped appends at most a piece. Blocks are escaped at once; of them
// more may be read, and more written, than counts in the end, which is why the
// last one is not among them and there is room behind.
func appendEscaped(dst, text []byte) []byte {
	dst = slices.Grow(dst, longest*len(text)+2*block)
	free := dst[len(dst):cap(dst)]
	read, written := 0, 0
	if blocks := len(text)/block - 1; blocks > 0 {
		read, written = blocks*block, escapeBlocks(free, text, blocks)
	}
	for _, c := range text[read:] {
		s := sequences[c]
		binary.LittleEndian.PutUint64(free[written:], s)
		written += int(s >> 56)
	}
	return dst[:len(dst)+written]
}

// escapeWords is escapeBlocks where there is no better one: it looks at 8 bytes
// at once.
func escapeWords(dst, text []byte, blocks int) (written int) {
	for text = text[:blocks*block]; len(text) > 0; text = text[8:] {
		word := binary.LittleEndian.Uint64(text)
		binary.LittleEndian.PutUint64(dst[written:], word)
		special := control(word) | equal(word, '"') | equal(word, '\\')
		plain := 0 // where the bytes that stand for themselves begin
		for ; special != 0; special &= special - 1 {
			at := bits.TrailingZeros64(special) / 8
			binary.LittleEndian.PutUint64(dst[written:], word>>(8*plain))
			written += at - plain
			s := sequences[text[at]]
			binary.LittleEndian.PutUint64(dst[written:], s)
			written += int(s >> 56)
			plain = at + 1
		}
		if plain > 0 {
			binary.LittleEndian.PutUint64(dst[written:], word>>(8*plain))
		}
		written += 8 - plain
	}
	return written
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// control returns the high bits of the bytes of word that are below 0x20.
func control(word uint64) uint64 { return ^(word&^highs + (0x80-0x20)*ones) & ^word & highs }

// equal returns the high bits of the bytes of word that are c.
func equal(word uint64, c byte) uint64 {
	other := word ^ uint64(c)*ones
	return ^(other&^highs + 0x7f*ones | other) & highs
}
