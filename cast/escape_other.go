//go:build !amd64

package cast

// escapeBlocks writes so many blocks of text to dst as they stand in a JSON
// string, and returns how many bytes that was. It may read one block more of
// text, and has room for one more in dst than it needs.
func escapeBlocks(dst, text []byte, blocks int) (written int) {
	return escapeWords(dst, text, blocks)
}
