package cast

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

// appendString appends text, which is UTF-8, as a JSON string.
func appendString[S string | []byte](dst []byte, text S) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	plain := 0 // where the bytes that stand for themselves begin
	for i := range len(text) {
		e := escapes[text[i]]
		if e == 0 {
			continue
		}
		dst = append(dst, text[plain:i]...)
		plain = i + 1
		if e == 'u' {
			dst = append(dst, '\\', 'u', '0', '0', hex[text[i]>>4], hex[text[i]&0xf])
		} else {
			dst = append(dst, '\\', e)
		}
	}
	dst = append(dst, text[plain:]...)
	return append(dst, '"')
}
