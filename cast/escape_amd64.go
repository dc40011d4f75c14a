package cast

// escapeBlocks writes so many blocks of text to dst as they stand in a JSON
// string, and returns how many bytes that was. It may read one block more of
// text, and has room for one more in dst than it needs.
func escapeBlocks(dst, text []byte, blocks int) (written int) {
	return escapeSSE2(&dst[0], &text[0], blocks, &sequences)
}

// escapeSSE2 is in escape_amd64.s. SSE2 is in every amd64.
//
//go:noescape
func escapeSSE2(dst, text *byte, blocks int, sequences *[256]uint64) (written int)
