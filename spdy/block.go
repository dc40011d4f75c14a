package spdy

import (
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxBlock is the largest compressed header block that is decoded. A stream's
// headers take 30 to 60 bytes. The server's limit is the frame's, 16 MiB: what
// a client puts in between is undecodable here, which hides nothing.
const maxBlock = 64 << 10

// maxUnread is how many compressed bytes a block may leave for the next one.
// The server inflates through a bufio.Reader of 4096 bytes, and refuses a
// frame whose payload has not all been drawn into it.
const maxUnread = 4096

// maxHeaders is how many headers spdystream 0.5.1 reads from one block. Older
// copies have no limit, but a block of a few KiB can inflate to millions of
// them, which take seconds: what a client puts there is undecodable here.
const maxHeaders = 1000

// inflater reads the header blocks of one direction, which share one zlib
// context. What a block leaves unread, compressed or inflated, is the
// beginning of the next one, as it is for the server.
type inflater struct {
	in      unread
	zlib    io.Reader
	scratch [512]byte
	skipped [256]byte
}

// unread is the compressed bytes that the inflater has not come to.
type unread struct{ b []byte }

// Read implements [io.Reader].
func (u *unread) Read(p []byte) (int, error) {
	if len(u.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, u.b)
	u.b = u.b[n:]
	return n, nil
}

// ReadByte implements [io.ByteReader], so that flate takes no byte more than
// it needs.
func (u *unread) ReadByte() (byte, error) {
	if len(u.b) == 0 {
		return 0, io.EOF
	}
	c := u.b[0]
	u.b = u.b[1:]
	return c, nil
}

const streamTypeHeader = "streamtype"

var (
	errUppercase = errors.New("a header name that is not in lower case")
	errUnread    = fmt.Errorf("a header block that leaves more than %d bytes unread", maxUnread)
)

// read inflates one header block and returns the first value of its header
// "streamtype", cut to the scratch buffer's size, or "". The length of a value
// is believed only as far as block has bytes for it; what is not of use is not
// kept.
func (f *inflater) read(block []byte) (streamType string, err error) {
	f.in.b = append(f.in.b[:len(f.in.b):len(f.in.b)], block...)
	if f.zlib == nil {
		if f.zlib, err = zlib.NewReaderDict(&f.in, dictionary); err != nil {
			return "", fmt.Errorf("header block: %w", err)
		}
	}
	streamType, err = f.pairs()
	if err != nil {
		return "", fmt.Errorf("header block: %w", err)
	}
	if len(f.in.b) > maxUnread {
		return "", errUnread
	}
	return streamType, nil
}

// pairs reads the names and values of one block.
//
//	| count (32) | length (32) | name | length (32) | value, several by NUL | ...
func (f *inflater) pairs() (streamType string, err error) {
	count, err := f.word()
	if err != nil {
		return "", err
	}
	if count > maxHeaders {
		return "", fmt.Errorf("%d headers, at most %d are read by the server", count, maxHeaders)
	}
	found := false
	for range count {
		name, err := f.text(lowerCase)
		if err != nil {
			return "", err
		}
		// The server's http.Header.Get: the first header of that name wins.
		wanted := !found && string(name) == streamTypeHeader
		value, err := f.text(anything)
		if err != nil {
			return "", err
		}
		if wanted {
			found, streamType = true, firstValue(value)
		}
	}
	return streamType, nil
}

// firstValue returns the first of the values that NUL separates.
func firstValue(value []byte) string {
	for i, c := range value {
		if c == 0 {
			return string(value[:i])
		}
	}
	return string(value)
}

func (f *inflater) word() (uint32, error) {
	if _, err := io.ReadFull(f.zlib, f.scratch[:4]); err != nil {
		return 0, short(err)
	}
	return binary.BigEndian.Uint32(f.scratch[:4]), nil
}

func anything([]byte) error { return nil }

func lowerCase(p []byte) error {
	for _, c := range p {
		if 'A' <= c && c <= 'Z' {
			return errUppercase
		}
	}
	return nil
}

// text reads a length and as many bytes, and returns those that fit the
// scratch buffer; each part of them is shown to check. The result is valid
// until the next read.
func (f *inflater) text(check func([]byte) error) ([]byte, error) {
	length, err := f.word()
	if err != nil {
		return nil, err
	}
	kept := f.scratch[:min(length, uint32(len(f.scratch)))]
	if _, err := io.ReadFull(f.zlib, kept); err != nil {
		return nil, short(err)
	}
	if err := check(kept); err != nil {
		return nil, err
	}
	for left := length - uint32(len(kept)); left > 0; {
		part := f.skipped[:min(left, uint32(len(f.skipped)))]
		if _, err := io.ReadFull(f.zlib, part); err != nil {
			return nil, short(err)
		}
		if err := check(part); err != nil {
			return nil, err
		}
		left -= uint32(len(part))
	}
	return kept, nil
}

// short is a block that ends before its headers do. Go's inflater says EOF or
// unexpected EOF, depending on where.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
