package upload

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// A zipper reads what another reader gives, compressed. Of a finished cast it
// makes the same bytes each time.
type zipper struct {
	from io.ReadCloser
	zip  *gzip.Writer // to out
	out  bytes.Buffer
	in   [32 << 10]byte
	held bool  // zip has kept something back
	err  error // of from
}

func newZipper(from io.ReadCloser) *zipper {
	z := &zipper{from: from}
	z.zip = gzip.NewWriter(&z.out)
	return z
}

// Read implements [io.Reader]. Where from has nothing now, neither has it, but
// all that came before can be read.
func (z *zipper) Read(p []byte) (int, error) {
	for idle := false; z.out.Len() == 0; {
		if idle || z.err != nil {
			return 0, z.err
		}
		idle = z.fill()
	}
	n, _ := z.out.Read(p) // there is some
	return n, nil
}

// Close implements [io.Closer].
func (z *zipper) Close() error { return z.from.Close() }

// fill compresses the next part, and reports whether there was none.
func (z *zipper) fill() (idle bool) {
	var n int
	n, z.err = z.from.Read(z.in[:])
	_, _ = z.zip.Write(z.in[:n]) // memory takes it
	z.held = z.held || n > 0
	switch {
	case errors.Is(z.err, io.EOF):
		_ = z.zip.Close()
	case n == 0 && z.err == nil:
		if z.held {
			_ = z.zip.Flush()
		}
		z.held = false
		return true
	}
	return false
}
