// Package cast is the format of recordings: asciicast v2 and v3, as asciinema
// plays them, with a few events more that bring every byte back exactly.
//
// It knows no file and no clock: an [Encoder] appends to buffers what a
// session's events look like, a [Decoder] reads lines. Who writes them where,
// and when they are safe, is package sink's.
//
// The header's "command" and "kubernetes" are for those who read such casts
// already; what we know of a session is under "exectape". The texts in it come
// from clients, containers and runtimes: what is too long for the slot is cut.
//
// A cast of ours is a header of exactly [SlotSize] bytes, padded with spaces,
// which is written anew in place when more is known, and then a line for each
// event: [time, code, data]. Time is in seconds: since the beginning in v2,
// since the line before in v3. The codes of asciicast are o (output), i
// (input, which players do not show), r (resize, COLSxROWS) and x (exit status; in v3, and here in v2 as well). Ours,
// which players ignore:
//
//	s  whose the following o, b and c are: "stdout" (as at first) or "stderr"
//	b  output that is not UTF-8, in base64
//	c  the beginning of a rune whose rest has not come, in base64: the
//	   stream's next o, b or c begins with the same bytes again
//	B  input that is not UTF-8: what b is to o, this is to i
//	C  the beginning of a rune of the input, as c
//	w  bytes that could not be decoded: "client:" or "server:", then base64
//	g  a gap: JSON with how many bytes are missing, and why
//	h  what was put into the header, for when that is unreadable
package cast
