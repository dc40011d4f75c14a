package cast

import (
	"unicode/utf8"

	"exectape/session"
)

// maxPart bounds what one line says, and with it how long a line can be.
const maxPart = 64 << 10

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
	return append(appendBase64(dst, p), "\"]\n"...)
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
