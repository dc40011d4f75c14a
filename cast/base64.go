package cast

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// digits has for 12 bits the two characters that stand for them in base64.
var digits = func() (t [1 << 12]uint16) {
	for i := range t {
		var two [4]byte
		base64.StdEncoding.Encode(two[:], []byte{byte(i >> 4), byte(i << 4), 0})
		t[i] = binary.LittleEndian.Uint16(two[:])
	}
	return t
}()

// appendBase64 is base64.StdEncoding.AppendEncode, of as many bytes at once as
// the processor can.
func appendBase64(dst, p []byte) []byte {
	dst = slices.Grow(dst, base64.StdEncoding.EncodedLen(len(p)))
	n := encodeGroups(dst[len(dst):cap(dst)], p)
	return appendSixes(dst[:len(dst)+n/3*4], p[n:])
}

// appendSixes is appendBase64 where there is no better one: of 6 bytes at once.
func appendSixes(dst, p []byte) []byte {
	for len(p) >= 8 { // are read, of which 6 count
		word := binary.BigEndian.Uint64(p)
		eight := uint64(digits[word>>52]) | uint64(digits[word>>40&0xfff])<<16 | uint64(digits[word>>28&0xfff])<<32 | uint64(digits[word>>16&0xfff])<<48
		dst = binary.LittleEndian.AppendUint64(dst, eight)
		p = p[6:]
	}
	return base64.StdEncoding.AppendEncode(dst, p)
}
