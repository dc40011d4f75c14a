package cast

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// minText is the least valid text between bytes that are not worth a line of
// its own. Random bytes are full of short ones.
const minText = 32

// run returns how much of p, which is not empty, one line takes, and whether
// that is text.
func run(p []byte) (n int, isText bool) {
	p = p[:min(len(p), maxPart)]
	text := validPrefix(p)
	if text == len(p) || text >= minText {
		return text, true
	}
	for n = text; len(p)-n >= minText; {
		n += noText(p[n:])
		if broken := lastBroken(p[n : n+minText]); broken >= 0 {
			n += broken + 1
			continue
		}
		if text = validPrefix(p[n:]); text >= minText {
			return n, false
		}
		n += max(text, 1)
	}
	return len(p), false
}

// noText returns how much of p, which has at least minText bytes, is before any
// text that has as many: such a text has all of a step in it, and so none of those
// that are broken. It leaves at least minText bytes.
func noText(p []byte) (n int) {
	const step = minText / 2
	for rest := p; len(rest) >= minText; rest = rest[step:] {
		if broken(binary.LittleEndian.Uint64(rest))|broken(binary.LittleEndian.Uint64(rest[8:])) == 0 {
			break
		}
		n += step
	}
	return max(n-step, 0)
}

// lastBroken returns the index of the last of p's bytes, of which there are at
// least 8, that can't be followed by the next in any text, or -1. A text that
// begins at or before it ends there.
//
// In what is no text such a byte is mostly found at the first look, so that most
// of it is never looked at.
func lastBroken(p []byte) int {
	for at := len(p) - 8; ; at = max(at-7, 0) { // the last of 8 is known with the next ones
		if found := broken(binary.LittleEndian.Uint64(p[at:])); found != 0 {
			return at + bits.Len64(found)/8 - 1
		}
		if at == 0 {
			return -1
		}
	}
}

// broken returns the high bits of those of word's first 7 bytes that are ASCII
// and have a continuation byte behind them, or begin a longer rune and have none.
func broken(word uint64) uint64 {
	high, second := word&highs, word<<1&highs
	begins, continues := high&second, high&^second>>8
	return (continues&^high | begins&^continues) & (highs >> 8)
}

// validPrefix returns how many bytes of p are UTF-8 before the first that is
// not.
func validPrefix(p []byte) (n int) {
	if utf8.Valid(p) {
		return len(p)
	}
	for n < len(p) {
		if len(p)-n >= 8 && binary.LittleEndian.Uint64(p[n:])&highs == 0 {
			n += 8
			continue
		}
		_, size := utf8.DecodeRune(p[n:])
		if size == 1 && p[n] >= utf8.RuneSelf {
			break
		}
		n += size
	}
	return n
}
