package upload

import (
	"io"

	"exectape/sink"
)

// unknown is the size of an upload that is sent in chunks.
const unknown = -1

// zippedSuffix is what the name of a compressed cast ends with.
const zippedSuffix = ".gz"

// An upload is what a PUT is made of.
type upload struct {
	name      string
	mediaType string
	size      int64
	body      source
}

// A source opens the body: each time from its beginning, or only once if the
// size is unknown. Its Read may return no bytes and no error: then there will be
// more later.
type source func() (io.ReadCloser, error)

// cast returns the upload of a cast, as c has it.
func (c Config) cast(stem string, size int64, body source) upload {
	if !c.Gzip {
		return upload{sink.CastName(stem), "application/x-asciicast", size, body}
	}
	return upload{sink.CastName(stem) + zippedSuffix, "application/gzip", unknown, func() (io.ReadCloser, error) {
		from, err := body()
		if err != nil {
			return nil, err
		}
		return newZipper(from), nil
	}}
}
