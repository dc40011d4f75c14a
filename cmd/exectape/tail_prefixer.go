package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"exectape/cast"
)

// shown returns what is to be seen of an event: what a player shows, and bytes
// that are not text. The beginning of a rune is not, because it comes again with
// its rest.
func shown(ev cast.Event) ([]byte, error) {
	if ev.Code == "c" {
		return nil, nil
	}
	var exact cast.Exact // knows of no beginning, so takes off none
	_, data, err := exact.Output(ev)
	return data, err
}

// A prefixer prints the output of many sessions so that it can be told apart and
// can't do anything to the terminal.
type prefixer struct {
	w    io.Writer
	last string // the session of the line that has not ended, or ""
}

// line prints a line of our own.
func (p *prefixer) line(id, text string) error {
	text = "-- " + text + " --\n"
	if p.last == id {
		text = "\n" + text
	}
	return p.write(id, []byte(text))
}

func (p *prefixer) write(id string, data []byte) error {
	var b bytes.Buffer
	for len(data) > 0 {
		if p.last != id {
			if p.last != "" {
				b.WriteByte('\n')
			}
			b.WriteString(id + "| ")
			p.last = id
		}
		n := visible(&b, data)
		if data[0] == '\n' {
			p.last = ""
		}
		data = data[n:]
	}
	_, err := p.w.Write(b.Bytes())
	return err
}

// visible appends the first character of data so that it can only be seen, and
// returns its length.
func visible(b *bytes.Buffer, data []byte) int {
	r, n := utf8.DecodeRune(data)
	switch {
	case r == '\n' || r == '\t':
		b.WriteRune(r)
	case r == '\r' && len(data) > 1 && data[1] == '\n':
	case r < ' ' || r == 0x7f:
		b.Write([]byte{'^', byte(r) ^ 0x40})
	case r == utf8.RuneError && n == 1:
		fmt.Fprintf(b, `\x%02x`, data[0])
	case !unicode.IsPrint(r):
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		b.WriteRune(r)
	}
	return n
}
