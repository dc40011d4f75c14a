package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"exectape/cast"
	"exectape/session"
	"exectape/sink"
)

const catHelp = `Usage: exectape cat [--stream stdout|stderr] FILE

Prints the very bytes that the client got, of both streams in the order in
which they came, or of one. FILE is a cast, finished or live, the name of one in
EXECTAPE_DIR, or a session's id.

Example: get back a file that was copied out of a container.

  exectape cat --stream stdout 7f3a9c01 | sha256sum
`

// runCat prints what a container wrote.
func runCat(_ context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("cat", flag.ContinueOnError)
	name := flags.String("stream", "", "")
	if help, err := parse(flags, args, catHelp, stdout); help || err != nil {
		return err
	}
	only, ok := session.ParseStream(*name)
	switch {
	case *name != "" && (!ok || only != session.Stdout && only != session.Stderr):
		return usageError{fmt.Errorf("cat: --stream %q: not a stream that a container writes to; write stdout or stderr", *name)}
	case flags.NArg() != 1:
		return usageError{errors.New(`cat takes one cast; "exectape ls" lists them`)}
	}
	path, err := find(cfg.Dir, flags.Arg(0))
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	out := bufio.NewWriterSize(stdout, 64<<10)
	if err := copyOutput(out, file, only); err != nil {
		return errors.Join(fmt.Errorf("cat %s: %w", path, err), out.Flush())
	}
	return out.Flush()
}

// find returns the path of the cast that name is, or is the name or the id of
// in dir.
func find(dir, name string) (string, error) {
	for _, path := range []string{name, filepath.Join(dir, name)} {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	all, err := sink.List(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, e := range all {
		if e.Summary.ID == name {
			return e.Path, nil
		}
	}
	return "", fmt.Errorf("no cast %q: neither a file, nor a file's name or a session's id in %s", name, dir)
}

// copyOutput writes what a cast says that its container wrote, of all streams
// if only is none. A cast that is live, or was, may end within a line.
func copyOutput(w io.Writer, r io.Reader, only session.Stream) error {
	d, err := cast.NewDecoder(r)
	if err != nil {
		return err
	}
	var exact cast.Exact
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, cast.ErrTorn) {
			return nil
		}
		if err != nil {
			return err
		}
		stream, data, err := exact.Output(ev)
		if err != nil {
			return err
		}
		if only != 0 && stream != only {
			continue
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
}
