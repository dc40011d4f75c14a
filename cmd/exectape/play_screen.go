package main

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"exectape/cast"
	"exectape/session"
)

// A screen is where a session is played. If that is no terminal it gets the
// bytes and nothing else.
type screen struct {
	w  io.Writer
	fd int

	was  *unix.Termios // nil: no terminal
	size *unix.Winsize // nil: nobody knows
}

// openScreen makes w ready for the session that h describes. Keys are not shown,
// and ctrl-c still is a signal. The output of a session that had a terminal has
// been through that, and goes to ours as it is.
func openScreen(w io.Writer, h cast.Header) (*screen, error) {
	s := &screen{w: w}
	fd, ok := terminal(w)
	if !ok {
		return s, nil
	}
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("look at the terminal: %w", err)
	}
	is := *was
	is.Lflag &^= unix.ECHO | unix.ICANON
	if tty := h.Facts.TTY; tty != nil && *tty {
		is.Oflag &^= unix.OPOST
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &is); err != nil {
		return nil, fmt.Errorf("set the terminal up: %w", err)
	}
	s.fd, s.was = fd, was
	if s.size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err != nil {
		s.size = nil
	}
	return s, s.resize(h.Size)
}

// resize asks the terminal to take a size (XTWINOPS 8).
func (s *screen) resize(size session.Size) error {
	if s.was == nil || size.Cols == 0 || size.Rows == 0 {
		return nil
	}
	_, err := fmt.Fprintf(s.w, "\x1b[8;%d;%dt", size.Rows, size.Cols)
	return err
}

// restored undoes what a session that was cut off may have done: no alternate
// screen (by the code that leaves the cursor where it is), all modes and colours
// as at first, the cursor to be seen, no reports of the mouse, of the focus and
// of pasted text, plain characters.
const restored = "\x1b[?47l\x1b[!p\x1b[m\x1b[?25h\x1b[?1000;1002;1003;1004;1006;2004l\x1b(B\x0f"

// close puts the terminal in order. What it has answered to the session's
// questions is dropped: it would be taken for what its user types.
func (s *screen) close() error {
	if s.was == nil {
		return nil
	}
	_, err := io.WriteString(s.w, restored)
	if s.size != nil {
		err = errors.Join(err, s.resize(session.Size{Cols: s.size.Col, Rows: s.size.Row}))
	}
	return errors.Join(err, unix.IoctlSetTermios(s.fd, unix.TCSETSF, s.was))
}
