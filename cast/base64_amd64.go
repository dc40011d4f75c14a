package cast

// encodeGroups writes the base64 of most of p to dst, which has room for all of
// it, and returns how many bytes of p that was: a multiple of 12.
func encodeGroups(dst, p []byte) (read int) {
	groups := (len(p) - 4) / 12 // 16 bytes are read for each, of which 12 count
	if groups <= 0 || !shuffles {
		return 0
	}
	encodeSSSE3(&dst[0], &p[0], groups)
	return 12 * groups
}

// shuffles reports whether the processor has SSSE3, as those of the last 15 years
// have.
var shuffles = hasSSSE3()

// These are in base64_amd64.s.
func hasSSSE3() bool

//go:noescape
func encodeSSSE3(dst, p *byte, groups int)
