package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"exectape/cast"
	"exectape/session"
	"exectape/sink"
)

const tailHelp = `Usage: exectape tail [DIR]
       exectape tail --namespace PATTERN --pod PATTERN --container PATTERN [DIR]
       exectape tail --session ID [DIR]
       exectape tail FILE

Follows the live sessions of EXECTAPE_DIR, or of DIR, and those that begin,
until it is interrupted. Each line begins with the session's id; whose it is is
said once that is known. What would steer a terminal is made visible, as in
cat -v. What was typed is not shown.

With patterns, such as --namespace shop --pod 'web-*', only sessions are
followed that are, or may be, in such a container, from when that is known.

With --session, or a FILE, only that one is printed, from its beginning, as its
container wrote it, until it ends.

Examples: watch what happens on this node; look over somebody's shoulder.

  exectape tail
  exectape tail --session 7f3a9c01

Exit codes: 0, it was interrupted, or that session has ended; 1, it can't be
read; 2, the arguments are mistaken.
`

// tailInterval is how often tail looks for what is new.
const tailInterval = 100 * time.Millisecond

// runTail follows live sessions.
func runTail(ctx context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("tail", flag.ContinueOnError)
	id := flags.String("session", "", "")
	var meant containers
	meant.flag(flags)
	if help, err := parse(flags, args, tailHelp, stdout); help || err != nil {
		return err
	}
	dir := cfg.Dir
	switch flags.NArg() {
	case 0:
	case 1:
		dir = flags.Arg(0)
	default:
		return usageError{errors.New("tail takes one directory, or one cast")}
	}
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir() && *id != "":
		return usageError{fmt.Errorf("tail: %s is a cast; it takes no --session", dir)}
	case err == nil && !info.IsDir():
		return tailOne(ctx, cfg.Dir, dir, stdout)
	case *id != "":
		return tailOne(ctx, dir, *id, stdout)
	}
	t, err := newTail(dir, meant, &prefixer{w: stdout, palette: paletteFor(cfg, stdout)})
	if err != nil {
		return err
	}
	return t.run(ctx)
}

// tailOne prints one session until it ends.
func tailOne(ctx context.Context, dir, id string, stdout io.Writer) error {
	file, err := openCast(dir, id)
	if err != nil {
		return err
	}
	f := &follower{file: file, offset: cast.SlotSize}
	defer f.close()
	buf := make([]byte, followed)
	var exact cast.Exact
	for {
		over := f.over() // first: what was written before is read yet
		err := f.next(buf, func(ev cast.Event) error {
			_, data, err := exact.Output(ev)
			if err == nil {
				_, err = stdout.Write(data)
			}
			return err
		})
		if err != nil || over {
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

// tail follows the sessions of a directory that are live, and those that begin.
type tail struct {
	dir   string
	meant containers
	out   *prefixer
	buf   []byte
	live  map[string]*follower // by the key of the cast's name

	seen   map[string]bool // the keys of all casts there ever were
	looked time.Time       // when the directory was read
}

// newTail begins to follow: what was said before is not repeated.
func newTail(dir string, meant containers, out *prefixer) (*tail, error) {
	t := &tail{
		dir: dir, meant: meant, out: out, buf: make([]byte, followed),
		live: make(map[string]*follower), seen: make(map[string]bool),
	}
	names, err := t.look()
	for _, name := range names {
		if err != nil || !sink.IsLive(name) {
			continue
		}
		var f *follower
		if f, err = t.follow(name); f != nil {
			err = f.skip(t.buf)
		}
	}
	if err != nil {
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
	for key, f := range t.live {
		if err := t.say(key, f, "session is live"); err != nil {
			return err
		}
		entry, err := sink.Stat(f.file.Name())
		if err != nil {
			continue // finished just now
		}
		if err := t.introduce(key, f, entry.Summary.Identity); err != nil {
			return err
		}
	}
	for wait(ctx) {
		if err := t.step(); err != nil {
			return err
		}
	}
	return nil
}

// step prints what is new.
func (t *tail) step() error {
	names, err := t.look()
	if err != nil {
		return err
	}
	for _, name := range names { // some have ended already
		f, err := t.follow(name)
		if err == nil && f != nil {
			err = t.say(name, f, "session started")
		}
		if err != nil {
			return err
		}
	}
	for key, f := range t.live {
		if err := t.print(key, f); err != nil {
			return err
		}
	}
	return nil
}

// clockGrain is more than the times of files can lag behind the clock.
const clockGrain = time.Second

// look returns the names of the casts that are new. A directory can have very
// many: it is not read while no name in it changes.
func (t *tail) look() (fresh []string, err error) {
	dir, err := os.Stat(t.dir)
	if err != nil || t.looked.Sub(dir.ModTime()) > clockGrain {
		return nil, err
	}
	t.looked = time.Now()
	names, err := sink.Names(t.dir)
	for _, name := range names {
		if key := sink.Key(name); !t.seen[key] {
			t.seen[key] = true
			fresh = append(fresh, name)
		}
	}
	return fresh, err
}

// follow begins to follow a session. It returns nil if its cast was removed.
func (t *tail) follow(name string) (*follower, error) {
	key := sink.Key(name)
	file, err := sink.Open(t.dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := &follower{file: file, offset: cast.SlotSize, meant: t.meant == containers{}}
	t.live[key] = f
	return f, nil
}

// say prints a line of our own about a session, if that is meant.
func (t *tail) say(name string, f *follower, text string) error {
	if !f.meant {
		return nil
	}
	return t.out.line(sink.ID(name), text)
}

// print prints what is new of one session. One that can't be read does not keep
// the others from being followed.
func (t *tail) print(key string, f *follower) error {
	over := f.over()
	err := f.next(t.buf, func(ev cast.Event) error { return t.show(key, f, ev) })
	last := "session ended"
	switch {
	case t.out.err != nil:
		return t.out.err
	case err != nil:
		last = "not followed any more: " + plain(err.Error())
	case !over:
		return nil
	}
	f.close()
	delete(t.live, key)
	return t.say(key, f, last)
}

func (t *tail) show(key string, f *follower, ev cast.Event) error {
	if ev.Code == "h" {
		var h cast.Header
		if err := json.Unmarshal([]byte(ev.Data), &h); err != nil {
			return err
		}
		return t.introduce(key, f, h.Facts.Identity)
	}
	data, err := shown(ev)
	if err != nil || !f.meant {
		return err
	}
	return t.out.write(sink.ID(key), data)
}

// introduce says whose a session is, once, if it is meant.
func (t *tail) introduce(key string, f *follower, i session.Identity) error {
	f.meant = t.meant.mean(i)
	if f.introduced || !i.Names() || !f.meant {
		return nil
	}
	f.introduced = true
	pod, container := whose(i)
	return t.out.line(sink.ID(key), plain("session of "+pod+" "+container))
}
