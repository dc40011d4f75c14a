package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A pty is a terminal that a test looks at.
type pty struct {
	*os.File // what a program has for its standard output

	began chan struct{} // closed when it is told to show something
	shown chan string   // all of that, in the end
}

func newPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{file, make(chan struct{}), make(chan string, 1)}
	go func() {
		first := make([]byte, 1)
		n, _ := io.ReadFull(master, first)
		close(p.began)
		rest, _ := io.ReadAll(master) // ends with an error when nobody has it open any more
		p.shown <- string(first[:n]) + string(rest)
	}()
	return p
}

// end closes the terminal and returns all that it was told to show.
func (p *pty) end() string {
	_ = p.Close()
	return <-p.shown
}

func (p *pty) settings(t *testing.T) unix.Termios {
	t.Helper()
	is, err := unix.IoctlGetTermios(int(p.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *is
}

func TestColoursAreForTerminalsWhoseUsersWantThem(t *testing.T) {
	dir := t.TempDir()
	_, end := live(t, dir, "00000001")
	defer end()
	for _, test := range []struct {
		environ  []string
		coloured bool
	}{
		{nil, true},
		{[]string{"NO_COLOR="}, true},
		{[]string{"NO_COLOR=1"}, false},
		{[]string{"TERM=dumb"}, false},
	} {
		cfg, err := loadConfig(append(test.environ, "EXECTAPE_DIR="+dir))
		if err != nil {
			t.Fatal(err)
		}
		p := newPTY(t)
		if err := runLs(t.Context(), cfg, nil, p.File); err != nil {
			t.Error(err)
		}
		if got := p.end(); strings.Contains(got, "\x1b[32m2") != test.coloured || strings.Contains(got, "\x1b") != test.coloured {
			t.Errorf("%q: printed %q", test.environ, got)
		}
	}
}
