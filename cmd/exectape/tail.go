package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
	"unicode"
	"unicode/utf8"

	"exectape/cast"
	"exectape/sink"
)

const tailHelp = `Usage: exectape tail [--session ID] [DIR]

Follows the live sessions of EXECTAPE_DIR, or of DIR, and those that begin,
until it is interrupted. Each line begins with the session's id; what would
steer a terminal is made visible, as in cat -v.

With --session only that one is printed, from its beginning, as its container
wrote it, until it ends.

Example: watch what happens on this node.

  exectape tail
`

// tailInterval is how often tail looks for what is new.
const tailInterval = 100 * time.Millisecond

// runTail follows live sessions.
func runTail(ctx context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("tail", flag.ContinueOnError)
	id := flags.String("session", "", "")
	if help, err := parse(flags, args, tailHelp, stdout); help || err != nil {
		return err
	}
	dir := cfg.Dir
	switch flags.NArg() {
	case 0:
	case 1:
		dir = flags.Arg(0)
	default:
		return usageError{errors.New("tail takes one directory")}
	}
	if *id != "" {
		return tailOne(ctx, dir, *id, stdout)
	}
	t, err := newTail(dir, stdout)
	if err != nil {
		return err
	}
	return t.run(ctx)
}

// tailOne prints one session until it ends.
func tailOne(ctx context.Context, dir, id string, stdout io.Writer) error {
	path, err := find(dir, id)
	if err != nil {
		return err
	}
	f, err := newFollower(path, id)
	if err != nil {
		return err
	}
	defer f.close()
	for {
		over := f.over() // first: what was written before is read yet
		if err := f.next(func(p []byte) error { _, err := stdout.Write(p); return err }); err != nil || over {
			return err
		}
		if !wait(ctx) {
			return nil
		}
	}
}

// wait waits for the next look, and reports false when ctx has ended.
func wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(tailInterval):
		return true
	}
}

// tail follows every live session of a directory.
type tail struct {
	dir  string
	out  *prefixer
	live map[string]*follower // by path
}

// newTail begins to follow: what was said before is not repeated.
func newTail(dir string, w io.Writer) (*tail, error) {
	t := &tail{dir: dir, out: &prefixer{w: w}, live: make(map[string]*follower)}
	skip := func([]byte) error { return nil }
	if err := t.look(func(f *follower) error { return f.next(skip) }); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tail) close() {
	for _, f := range t.live {
		f.close()
	}
}

// run prints what is new until ctx ends.
func (t *tail) run(ctx context.Context) error {
	defer t.close()
	for wait(ctx) {
		if err := t.look(func(f *follower) error { return t.out.line(f.id, "session started") }); err != nil {
			return err
		}
		for path, f := range t.live {
			if err := t.follow(path, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// look finds the sessions that are live and were not.
func (t *tail) look(begin func(*follower) error) error {
	all, err := sink.List(t.dir)
	if err != nil {
		return err
	}
	for _, e := range all {
		if !e.Live || t.live[e.Path] != nil {
			continue
		}
		f, err := newFollower(e.Path, e.Summary.ID)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended since
		}
		if err != nil {
			return err
		}
		t.live[e.Path] = f
		if err := begin(f); err != nil {
			return err
		}
	}
	return nil
}

// follow prints what is new of one session.
func (t *tail) follow(path string, f *follower) error {
	over := f.over()
	if err := f.next(func(p []byte) error { return t.out.write(f.id, p) }); err != nil || !over {
		return err
	}
	f.close()
	delete(t.live, path)
	return t.out.line(f.id, "session ended")
}

// follower reads a cast that grows.
type follower struct {
	id     string
	path   string
	file   *os.File
	offset int64
	exact  cast.Exact
	buf    []byte
}

func newFollower(path, id string) (*follower, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &follower{id: id, path: path, file: file, offset: cast.SlotSize, buf: make([]byte, 1<<20)}, nil
}

func (f *follower) close() { _ = f.file.Close() }

// over reports whether the cast is finished: it has another name then.
func (f *follower) over() bool {
	_, err := os.Lstat(f.path)
	return errors.Is(err, fs.ErrNotExist) || sink.IsFinished(f.path)
}

// next hands on what the container wrote, as far as it is there in whole lines.
func (f *follower) next(to func([]byte) error) error {
	for {
		n, err := f.file.ReadAt(f.buf, f.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		lines := f.buf[:bytes.LastIndexByte(f.buf[:n], '\n')+1]
		if len(lines) == 0 {
			return nil
		}
		f.offset += int64(len(lines))
		if err := f.lines(lines, to); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
}

func (f *follower) lines(lines []byte, to func([]byte) error) error {
	d := cast.NewEventDecoder(bytes.NewReader(lines), 2) // times are of no interest
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, data, err := f.exact.Output(ev)
		if err != nil {
			return err
		}
		if len(data) > 0 {
			if err := to(data); err != nil {
				return err
			}
		}
	}
}

// prefixer prints the output of many sessions so that it can be told apart and
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
