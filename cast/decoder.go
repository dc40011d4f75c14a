package cast

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// An Event is one line of a cast.
type Event struct {
	At   time.Duration // since the beginning, in both versions
	Code string        // one letter; see the package comment
	Data string
}

// maxLine bounds a line that is read. Ours have at most six characters for each
// byte of a part.
const maxLine = 1 << 20

// maxAt bounds the times that are read, so that no sum of them overflows.
const maxAt = 1e9 * time.Second

// ErrTorn is a last line without an end: its writer was stopped in it.
var ErrTorn = errors.New("the last line is torn")

// A Decoder reads a cast, ours or another's, of version 2 or 3.
type Decoder struct {
	lines  *bufio.Reader
	line   []byte
	header Header
	offset int64 // of what was not read yet
	number int   // of the last line
	at     time.Duration
}

// NewDecoder reads the header of a cast.
func NewDecoder(r io.Reader) (*Decoder, error) {
	d := &Decoder{lines: bufio.NewReader(r)}
	line, err := d.next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("read a cast's header: %w", err)
	}
	if err := json.Unmarshal(line, &d.header); err != nil {
		return nil, fmt.Errorf("read a cast's header: %w", err)
	}
	if v := d.header.Version; v != 2 && v != 3 {
		return nil, fmt.Errorf("read a cast's header: version %d, only 2 and 3 are known", v)
	}
	return d, nil
}

// NewEventDecoder reads the lines behind a header that could not be read. The
// times are right if version is.
func NewEventDecoder(r io.Reader, version int) *Decoder {
	return &Decoder{lines: bufio.NewReader(r), header: Header{Version: version}}
}

// Header returns the header.
func (d *Decoder) Header() Header { return d.header }

// Offset returns where the last line that was read ended, in bytes from where
// the decoder began.
func (d *Decoder) Offset() int64 { return d.offset }

// Line returns the number of the last line that was read. The header is line 1.
func (d *Decoder) Line() int { return d.number }

// Next returns the next event. Its error is io.EOF at the end of the cast, and
// [ErrTorn] if the cast ends within a line.
func (d *Decoder) Next() (Event, error) {
	for {
		line, err := d.next()
		if err != nil {
			return Event{}, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue // a comment is v3's
		}
		ev, err := d.event(line)
		if err != nil {
			return Event{}, fmt.Errorf("line %d of a cast: %w", d.number, err)
		}
		return ev, nil
	}
}

func (d *Decoder) event(line []byte) (Event, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(line, &parts); err != nil {
		return Event{}, err
	}
	if len(parts) != 3 {
		return Event{}, fmt.Errorf("%d values, want time, code and data", len(parts))
	}
	var seconds float64
	var ev Event
	if err := errors.Join(
		json.Unmarshal(parts[0], &seconds),
		json.Unmarshal(parts[1], &ev.Code),
		json.Unmarshal(parts[2], &ev.Data)); err != nil {
		return Event{}, err
	}
	at := time.Duration(math.Round(min(max(seconds, 0), maxAt.Seconds())*1e6)) * time.Microsecond
	if d.header.Version == 3 {
		at = min(d.at+at, maxAt)
	}
	d.at, ev.At = at, at
	return ev, nil
}

// next returns the next line without its end. It is valid until the next call.
func (d *Decoder) next() ([]byte, error) {
	d.line = d.line[:0]
	for {
		part, err := d.lines.ReadSlice('\n')
		d.line = append(d.line, part...)
		switch {
		case err == nil:
			d.number++
			d.offset += int64(len(d.line))
			return d.line[:len(d.line)-1], nil
		case errors.Is(err, io.EOF) && len(d.line) > 0:
			return nil, ErrTorn
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(d.line) > maxLine:
			return nil, fmt.Errorf("line %d of a cast has more than %d bytes", d.number+1, maxLine)
		}
	}
}
