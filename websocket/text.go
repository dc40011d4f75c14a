package websocket

import "encoding/base64"

// text decodes one base64 message after the other as they come.
//
// Of each it takes what [base64.StdEncoding] takes of it whole, which is how
// the server decodes it: line breaks anywhere, and nothing behind a padding.
// But the server takes nothing at all of a message with a mistake in it, and
// here what precedes the mistake has been handed on when it is seen.
type text struct {
	chars  [1024]byte // not decoded yet, without line breaks
	have   int        // of chars
	bytes  [768]byte  // what chars came to
	padded bool       // the message is over: a padding came
	bad    bool       // what came is no base64, and so is what follows
}

// decode takes the first n bytes of p, which are all or as many as there is
// room for. data is what they complete; spoilt is characters that are no
// base64, without line breaks. Both are valid until the next call.
func (t *text) decode(p []byte) (n int, data, spoilt []byte) {
	for ; n < len(p) && t.have < len(t.chars); n++ {
		if p[n] != '\r' && p[n] != '\n' {
			t.chars[t.have] = p[n]
			t.have++
		}
	}
	used := 0
	if !t.bad && !t.padded {
		k, err := base64.StdEncoding.Decode(t.bytes[:], t.chars[:t.have&^3])
		data, used = t.bytes[:k], (k+2)/3*4
		t.padded = k%3 != 0
		t.bad = err != nil
	}
	left := t.chars[used:t.have]
	t.bad = t.bad || t.padded && len(left) > 0
	if t.bad {
		t.have = 0
		return n, data, left
	}
	t.have = copy(t.chars[:], left)
	return n, data, nil
}

// end is called at a message's end. It returns what is too short to be base64,
// and whether the whole message was.
func (t *text) end() (spoilt []byte, whole bool) {
	spoilt, whole = t.chars[:t.have], t.have == 0 && !t.bad
	t.have, t.padded, t.bad = 0, false, false
	return spoilt, whole
}
