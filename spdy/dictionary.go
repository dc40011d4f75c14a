package spdy

import _ "embed"

// dictionary is what both sides' zlib contexts begin with:
// draft-mbelshe-httpbis-spdy-00, section 2.6.10.1. A zlib stream names its
// dictionary by its Adler-32, which is 0xe3c6a7c2 for this one.
//
//go:embed dictionary.bin
var dictionary []byte
