package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"exectape/cast"
	"exectape/session"

	"golang.org/x/sys/unix"
)

// shop is a session with a terminal: what is said at which second.
func shop(version int, live bool) []byte {
	e := cast.NewEncoder(version, session.Info{ID: "7f3a9c01", Start: time.Now()})
	file := e.Begin(nil)
	for _, ev := range []session.Event{
		{Kind: session.Opened, Stream: session.ResizeStream},
		{At: 1 * time.Second, Kind: session.Resize, Size: session.Size{Cols: 132, Rows: 43}},
		{At: 2 * time.Second, Kind: session.Output, Stream: session.Stdout, Data: []byte("$ caf\xc3")},
		{At: 3 * time.Second, Kind: session.Input, Stream: session.Stdin, Data: []byte("sécret")},
		{At: 4 * time.Second, Kind: session.Output, Stream: session.Stdout, Data: []byte("\xa9\xff\n")},
		{At: 4 * time.Second, Kind: session.Raw, From: session.FromServer, Data: []byte("who knows")},
		{At: 64 * time.Second, Kind: session.Resize, Size: session.Size{Cols: 80, Rows: 24}},
		{At: 65 * time.Second, Kind: session.Gap, Lost: &session.Loss{Bytes: 17, Reason: "the disk was\x1b[2J full"}},
		{At: 66 * time.Second, Kind: session.Output, Stream: session.Stderr, Data: []byte("bye")},
	} {
		file, _ = e.Append(file, ev)
	}
	if live {
		return append(file, `[70.0, "o`...)
	}
	file = e.End(file, session.End{At: time.Hour, Reason: session.EndCompleted})
	copy(file, e.Header().Slot())
	return file
}

// saved writes a cast into a directory of its own.
func saved(t *testing.T, file []byte, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A clocked writer notes at which second it was written to, and what.
type clocked struct {
	strings.Builder
	start time.Time
}

func (c *clocked) Write(p []byte) (int, error) {
	fmt.Fprintf(&c.Builder, "%g:%q ", time.Since(c.start).Seconds(), p)
	return len(p), nil
}

func TestPlayKeepsTime(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags []string
		want  string
	}{
		{"as it was", nil, `2:"$ caf" 2:"\xc3" 4:"\xa9\xff\n" 66:"bye" `},
		{"faster", []string{"--speed", "2"}, `1:"$ caf" 1:"\xc3" 2:"\xa9\xff\n" 33:"bye" `},
		{"slower", []string{"--speed", "0.5"}, `4:"$ caf" 4:"\xc3" 8:"\xa9\xff\n" 132:"bye" `},
		{"without long pauses", []string{"--idle-limit", "5s"}, `2:"$ caf" 2:"\xc3" 4:"\xa9\xff\n" 11:"bye" `},
		{"faster and without long pauses", []string{"--idle-limit", "5s", "--speed", "10"}, `0.2:"$ caf" 0.2:"\xc3" 0.4:"\xa9\xff\n" 1.1:"bye" `},
	} {
		for _, version := range []int{2, 3} {
			for name, file := range map[string][]byte{"x_7f3a9c01.cast": shop(version, false), "x_7f3a9c01.cast.part": shop(version, true)} {
				t.Run(fmt.Sprintf("%s v%d %s", test.name, version, name), func(t *testing.T) {
					path := saved(t, file, name)
					synctest.Test(t, func(t *testing.T) {
						out := &clocked{start: time.Now()}
						var notes strings.Builder
						if err := runPlay(t.Context(), config{}, append(test.flags, path), out, &notes); err != nil {
							t.Error(err)
						}
						if out.String() != test.want {
							t.Errorf("shown %s, want %s", out, test.want)
						}
						if want := "exectape: 17 bytes are missing: the disk was^[[2J full\n" +
							"exectape: 9 bytes could not be decoded; \"exectape cat --wire client|server\" prints them\n"; notes.String() != want {
							t.Errorf("noted %q, want %q", notes.String(), want)
						}
					})
				})
			}
		}
	}
}

// A slow terminal shows things late, and no later for it.
func TestPlayCatchesUp(t *testing.T) {
	path := saved(t, shop(2, false), "x_7f3a9c01.cast")
	synctest.Test(t, func(t *testing.T) {
		out := &clocked{start: time.Now()}
		slow := writerFunc(func(p []byte) (int, error) {
			defer time.Sleep(10 * time.Second)
			return out.Write(p)
		})
		if err := runPlay(t.Context(), config{}, []string{path}, slow, io.Discard); err != nil {
			t.Error(err)
		}
		if want := `2:"$ caf" 12:"\xc3" 22:"\xa9\xff\n" 66:"bye" `; out.String() != want {
			t.Errorf("shown %s, want %s", out, want)
		}
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestPlayResizesATerminalAndPutsItInOrder(t *testing.T) {
	path := saved(t, shop(2, false), "x_7f3a9c01.cast")
	p := newPTY(t)
	if err := unix.IoctlSetWinsize(int(p.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 100}); err != nil {
		t.Fatal(err)
	}
	before := p.settings(t)
	if err := runPlay(t.Context(), config{}, []string{"--speed", "1000", path}, p.File, io.Discard); err != nil {
		t.Error(err)
	}
	if after := p.settings(t); after != before {
		t.Errorf("the terminal's settings were %+v and are %+v", before, after)
	}
	const want = "\x1b[8;43;132t" + "$ caf\xc3\xa9\xff\n" + "\x1b[8;24;80t" + "bye" + restored + "\x1b[8;50;100t"
	if got := p.end(); got != want {
		t.Errorf("it got %q, want %q", got, want)
	}
}

// What was recorded behind a terminal has carriage returns; what was not needs
// ours.
func TestPlayLeavesNewlinesToTheTerminalThatTheyNeed(t *testing.T) {
	e := cast.NewEncoder(2, session.Info{ID: "7f3a9c01", Start: time.Now()})
	file, _ := e.Append(e.Begin(nil), session.Event{Kind: session.Output, Stream: session.Stdout, Data: []byte("one\ntwo\n")})
	p := newPTY(t)
	if err := runPlay(t.Context(), config{}, []string{saved(t, file, "x.cast")}, p.File, io.Discard); err != nil {
		t.Error(err)
	}
	if got, want := p.end(), "one\r\ntwo\r\n"; !strings.Contains(got, want) {
		t.Errorf("it got %q, want %q in it", got, want)
	}
}

func TestPlayIsInterrupted(t *testing.T) {
	path := saved(t, shop(2, false), "x_7f3a9c01.cast")
	p := newPTY(t)
	before := p.settings(t)
	ctx, interrupt := context.WithCancel(t.Context())
	played := make(chan error)
	go func() {
		played <- runPlay(ctx, config{}, []string{"--speed", "0.01", path}, p.File, io.Discard)
	}()
	<-p.began
	if is := p.settings(t); is.Lflag&unix.ISIG == 0 || is.Lflag&unix.ECHO != 0 || is.Oflag&unix.OPOST != 0 {
		t.Errorf("while it plays the settings are %+v: want signals, no echo, and the bytes as they are", is)
	}
	interrupt()
	if err := <-played; err != nil {
		t.Error(err)
	}
	if after := p.settings(t); after != before {
		t.Errorf("the terminal's settings were %+v and are %+v", before, after)
	}
	if got := p.end(); !strings.HasSuffix(got, restored) {
		t.Errorf("it got %q, want what puts it in order at the end", got)
	}
}

func TestPlayDoesNotNeedAnotherReadableHeader(t *testing.T) {
	file := shop(2, true)
	copy(file[20:], bytes.Repeat([]byte{0}, 100)) // it is just being written
	var out strings.Builder
	if err := runPlay(t.Context(), config{}, []string{"--speed", "1000", saved(t, file, "x.cast.part")}, &out, io.Discard); err != nil {
		t.Error(err)
	}
	if got, want := out.String(), "$ caf\xc3\xa9\xff\nbye"; got != want {
		t.Errorf("shown %q, want %q", got, want)
	}
}
