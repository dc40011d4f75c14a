package cast

import (
	"encoding/base64"
	"unicode/utf8"

	"exectape/session"
)

// maxPart bounds what one line says, and with it how long a line can be.
const maxPart = 64 << 10

// minText is the least valid text between bytes that are not worth a line of
// its own. Random bytes are full of short ones.
const minText = 32

// codes are those of one direction's events.
type codes struct{ text, binary, carry byte }

var (
	outputCodes = codes{'o', 'b', 'c'}
	inputCodes  = codes{'i', 'B', 'C'}
)

// output appends the lines of what one stream said.
func (e *Encoder) output(dst []byte, ev session.Event) []byte {
	if len(ev.Data) == 0 {
		return dst
	}
	if ev.Stream != e.stream {
		e.stream = ev.Stream
		dst = append(appendString(e.begin(dst, ev.At, 's'), []byte(ev.Stream.String())), "]\n"...)
	}
	carry := &e.carries[0]
	if ev.Stream == session.Stderr {
		carry = &e.carries[1]
	}
	return e.data(dst, ev, carry, outputCodes)
}

// input appends the lines of what was typed. They have codes of their own, so
// that no reader of output can take one for it, wherever it begins to read.
func (e *Encoder) input(dst []byte, ev session.Event) []byte {
	return e.data(dst, ev, &e.carries[2], inputCodes)
}

// data appends the lines of bytes: text as it is, other bytes in base64, and the
// beginning of a rune as a carry.
func (e *Encoder) data(dst []byte, ev session.Event, carry *[]byte, as codes) []byte {
	p := ev.Data
	if len(*carry) > 0 {
		e.joined = append(append(e.joined[:0], *carry...), p...)
		p = e.joined
	}
	whole := len(p) - partialRune(p)
	for rest := p[:whole]; len(rest) > 0; {
		n, isText := run(rest)
		if isText {
			dst = append(appendString(e.begin(dst, ev.At, as.text), rest[:n]), "]\n"...)
		} else {
			dst = e.binary(dst, ev, as.binary, rest[:n])
		}
		rest = rest[n:]
	}
	if whole < len(p) {
		dst = e.binary(dst, ev, as.carry, p[whole:])
	}
	*carry = append((*carry)[:0], p[whole:]...)
	return dst
}

func (e *Encoder) binary(dst []byte, ev session.Event, code byte, p []byte) []byte {
	dst = append(e.begin(dst, ev.At, code), '"')
	return append(base64.StdEncoding.AppendEncode(dst, p), "\"]\n"...)
}

// run returns how much of p, which is not empty, one line takes, and whether
// that is text.
func run(p []byte) (n int, isText bool) {
	p = p[:min(len(p), maxPart)]
	text := validPrefix(p)
	if text == len(p) || text >= minText {
		return text, true
	}
	for n = text; n < len(p); {
		if text = validPrefix(p[n:]); text >= minText {
			break
		}
		n += max(text, 1)
	}
	return n, false
}

// validPrefix returns how many bytes of p are UTF-8 before the first that is
// not.
func validPrefix(p []byte) int {
	if utf8.Valid(p) {
		return len(p)
	}
	n := 0
	for n < len(p) {
		_, size := utf8.DecodeRune(p[n:])
		if size == 1 && p[n] >= utf8.RuneSelf {
			break
		}
		n += size
	}
	return n
}

// partialRune returns how many bytes at the end of p can be the beginning of a
// rune whose rest has not come.
func partialRune(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		tail := p[len(p)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
