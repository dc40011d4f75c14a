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
//
// A zlib context takes 40 KiB, and a session needs it for the moment in which it
// opens its streams. So what is kept of a few small blocks is what they said, and
// a context to which they are said once more, each by itself and read just as
// far, is made for the next one. The zero inflater is ready to use.
type inflater struct {
	said []byte  // the blocks so far
	ends []heard // of each
	live *zlibContext
}

// heard is where a block ends, and how much of what was inflated by then was
// read.
type heard struct{ said, read int }

// Beyond these, the context is kept. kubectl opens four streams.
const (
	maxSaid   = 1 << 10
	maxHeard  = 4 << 10
	maxBlocks = 8
)

// A zlibContext is one direction's of zlib.
type zlibContext struct {
	in      unread
	zlib    io.Reader
	begun   bool
	read    int // bytes, of what it inflated
	scratch [512]byte
	skipped [256]byte
}

// contexts are those that nobody has borrowed. A sync.Pool may drop what it is
// given, and each of them is 40 KiB.
var contexts = make(chan *zlibContext, 16)

func borrow() *zlibContext {
	select {
	case c := <-contexts:
		return c
	default:
		return new(zlibContext)
	}
}

func giveBack(c *zlibContext) {
	c.in.b = nil
	select {
	case contexts <- c:
	default:
	}
}

// read inflates one header block and returns the first value of its header
// "streamtype", cut to the scratch buffer's size, or "".
func (f *inflater) read(block []byte) (streamType string, err error) {
	c := f.live
	if c == nil {
		c = borrow()
		f.retell(c)
	}
	streamType, err = c.block(block)
	switch {
	case err != nil || f.live != nil:
	case len(f.ends) == maxBlocks || len(f.said)+len(block) > maxSaid || c.read > maxHeard:
		*f = inflater{live: c}
	default:
		f.said = append(f.said, block...)
		f.ends = append(f.ends, heard{len(f.said), c.read})
	}
	if f.live == nil {
		giveBack(c)
	}
	return streamType, err
}

// retell says to a context what was said before. It was understood then.
func (f *inflater) retell(c *zlibContext) {
	c.in.b, c.begun, c.read = nil, false, 0
	said := 0
	for _, end := range f.ends {
		_ = c.feed(f.said[said:end.said])
		for c.read < end.read {
			part := c.skipped[:min(end.read-c.read, len(c.skipped))]
			if c.full(part) != nil {
				return // which the next block shows
			}
		}
		said = end.said
	}
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

// block inflates one header block. The length of a value is believed only as
// far as the block has bytes for it; what is not of use is not kept.
func (c *zlibContext) block(block []byte) (streamType string, err error) {
	if err = c.feed(block); err == nil {
		streamType, err = c.pairs()
	}
	if err != nil {
		return "", fmt.Errorf("header block: %w", err)
	}
	if len(c.in.b) > maxUnread {
		return "", errUnread
	}
	return streamType, nil
}

// feed appends a block to what is to be inflated. A context begins with the
// first.
func (c *zlibContext) feed(block []byte) (err error) {
	c.in.b = append(c.in.b[:len(c.in.b):len(c.in.b)], block...)
	switch {
	case c.begun:
		return nil
	case c.zlib == nil:
		c.zlib, err = zlib.NewReaderDict(&c.in, dictionary)
	default:
		err = c.zlib.(zlib.Resetter).Reset(&c.in, dictionary)
	}
	c.begun = err == nil
	return err
}

// full reads p full.
func (c *zlibContext) full(p []byte) error {
	n, err := io.ReadFull(c.zlib, p)
	c.read += n
	return err
}

// pairs reads the names and values of one block.
//
//	| count (32) | length (32) | name | length (32) | value, several by NUL | ...
func (c *zlibContext) pairs() (streamType string, err error) {
	count, err := c.word()
	if err != nil {
		return "", err
	}
	if count > maxHeaders {
		return "", fmt.Errorf("%d headers, at most %d are read by the server", count, maxHeaders)
	}
	found := false
	for range count {
		name, err := c.text(lowerCase)
		if err != nil {
			return "", err
		}
		// The server's http.Header.Get: the first header of that name wins.
		wanted := !found && string(name) == streamTypeHeader
		value, err := c.text(anything)
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

func (c *zlibContext) word() (uint32, error) {
	if err := c.full(c.scratch[:4]); err != nil {
		return 0, short(err)
	}
	return binary.BigEndian.Uint32(c.scratch[:4]), nil
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
func (c *zlibContext) text(check func([]byte) error) ([]byte, error) {
	length, err := c.word()
	if err != nil {
		return nil, err
	}
	kept := c.scratch[:min(length, uint32(len(c.scratch)))]
	if err := c.full(kept); err != nil {
		return nil, short(err)
	}
	if err := check(kept); err != nil {
		return nil, err
	}
	for left := length - uint32(len(kept)); left > 0; {
		part := c.skipped[:min(left, uint32(len(c.skipped)))]
		if err := c.full(part); err != nil {
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
