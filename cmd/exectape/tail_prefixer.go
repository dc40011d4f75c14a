package main

import (
	"bytes"
	"io"

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
	w       io.Writer
	palette palette
	err     error  // the first of w
	last    string // the session of the line that has not ended, or ""
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
			b.WriteString(p.palette.paint(colourOf(id), plain(id)+"|") + " ")
			p.last = id
		}
		switch {
		case data[0] == '\n':
			p.last = ""
			fallthrough
		case data[0] == '\t':
			b.WriteByte(data[0])
			data = data[1:]
		case data[0] == '\r' && len(data) > 1 && data[1] == '\n':
			data = data[1:]
		default:
			data = data[visible(&b, data):]
		}
	}
	if _, err := p.w.Write(b.Bytes()); err != nil {
		p.err = err
	}
	return p.err
}
