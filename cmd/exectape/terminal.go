package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// terminal returns the descriptor of the terminal that w is, if it is one.
func terminal(w io.Writer) (fd int, ok bool) {
	file, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(file.Fd())
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return fd, err == nil
}

// A palette colours texts, or does not. The zero value does not.
type palette struct{ on bool }

// paletteFor colours what is printed to a terminal, unless its user has asked
// for none (no-color.org) or it can't.
func paletteFor(cfg config, w io.Writer) palette {
	_, ok := terminal(w)
	return palette{ok && !cfg.plain}
}

const (
	red   = 31
	green = 32
)

func (p palette) paint(colour int, text string) string {
	if !p.on {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[m", colour, text)
}

// colourOf gives sessions colours by which they can be told apart: all that are
// neither black, nor white, nor a warning.
func colourOf(id string) int {
	sum := 0
	for i := range len(id) {
		sum = sum*31 + int(id[i])
	}
	return green + sum&0x7fffffff%5
}

// plain returns text as one line that can't do anything to a terminal.
func plain(text string) string {
	var b bytes.Buffer
	for data := []byte(text); len(data) > 0; {
		data = data[visible(&b, data):]
	}
	return b.String()
}

// visible appends the first character of data so that it can only be seen, and
// returns its length.
func visible(b *bytes.Buffer, data []byte) int {
	r, n := utf8.DecodeRune(data)
	switch {
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
