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
	"slices"

	"exectape/cast"
	"exectape/session"
	"exectape/sink"
)

const catHelp = `Usage: exectape cat [--stream stdout|stderr|stdin] FILE
       exectape cat --wire client|server FILE
       exectape cat --namespace PATTERN --pod PATTERN --container PATTERN

Prints the very bytes that the client got, of both streams in the order in
which they came, or of one. FILE is a cast, finished or live, the name of one
in EXECTAPE_DIR, or a session's id. In place of one, patterns such as
--pod 'web-*' stand for the latest session that is, or may be, in such a
container.

  --stream stdin   prints the very bytes that the client sent instead, if they
                   were recorded (EXECTAPE_RECORD_STDIN=full).
  --wire SIDE      prints the bytes of one side that could not be decoded, as
                   they were on the wire.

They go to standard output as they are. On a terminal, "exectape play" shows a
session at the pace at which it went.

Examples: get back a file that was copied out of a container; see what was
typed.

  exectape cat --stream stdout 7f3a9c01 | sha256sum
  exectape cat --stream stdin 7f3a9c01 | cat -v

Exit codes: 0, all was printed; 1, there is no such cast, or not all of it can
be read; 2, the arguments are mistaken.
`

// runCat prints what passed in a session.
func runCat(_ context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("cat", flag.ContinueOnError)
	stream := flags.String("stream", "", "")
	wire := flags.String("wire", "", "")
	var meant containers
	meant.flag(flags)
	if help, err := parse(flags, args, catHelp, stdout); help || err != nil {
		return err
	}
	pick, err := picker(*stream, *wire)
	if err != nil {
		return usageError{fmt.Errorf("cat: %w", err)}
	}
	file, err := openMeant(cfg.Dir, flags, meant)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	out := bufio.NewWriterSize(stdout, 64<<10)
	if err := copyPicked(out, file, pick); err != nil {
		return errors.Join(fmt.Errorf("cat %s: %w", file.Name(), err), out.Flush())
	}
	return out.Flush()
}

// openMeant opens the cast that is named, or else the latest of a session that is
// meant.
func openMeant(dir string, flags *flag.FlagSet, meant containers) (*os.File, error) {
	anywhere := meant == containers{}
	switch {
	case flags.NArg() == 1 && anywhere:
		return openCast(dir, flags.Arg(0))
	case flags.NArg() > 0 || anywhere:
		return nil, usageError{fmt.Errorf(`%s takes one cast, or patterns; "exectape ls" lists them`, flags.Name())}
	}
	all, err := sink.List(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range slices.Backward(all) {
		if e.Err == nil && meant.mean(e.Summary.Identity) {
			return sink.Open(dir, filepath.Base(e.Path))
		}
	}
	return nil, fmt.Errorf("no session in such a container is recorded in %s", dir)
}

// openCast opens the cast that name is, or is the name or the id of in dir.
func openCast(dir, name string) (*os.File, error) {
	for _, path := range []string{name, filepath.Join(dir, name)} {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return os.Open(path)
		}
	}
	names, err := sink.Names(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, n := range names {
		if sink.ID(n) == name {
			return sink.Open(dir, n)
		}
	}
	return nil, fmt.Errorf("no cast %q: neither a file, nor a file's name or a session's id in %s", name, dir)
}

// picker returns what picks, from a cast's events in order, the bytes that are
// asked for.
func picker(stream, wire string) (func(cast.Event) ([]byte, error), error) {
	if stream != "" && wire != "" {
		return nil, errors.New("--stream and --wire are two questions; ask one")
	}
	var exact cast.Exact
	switch only, _ := session.ParseStream(stream); {
	case wire == session.FromClient.String() || wire == session.FromServer.String():
		return func(ev cast.Event) ([]byte, error) {
			from, data, err := cast.Wire(ev)
			if from.String() != wire {
				data = nil
			}
			return data, err
		}, nil
	case wire != "":
		return nil, fmt.Errorf("--wire %q: not a side of the wire; write client or server", wire)
	case only == session.Stdin:
		return exact.Input, nil
	case stream == "" || only == session.Stdout || only == session.Stderr:
		return func(ev cast.Event) ([]byte, error) {
			from, data, err := exact.Output(ev)
			if only != 0 && from != only {
				data = nil
			}
			return data, err
		}, nil
	}
	return nil, fmt.Errorf("--stream %q: not a stream that is recorded; write stdout, stderr or stdin", stream)
}

// copyPicked writes what pick picks from a cast. One that is live, or was, may
// end within a line.
func copyPicked(w io.Writer, file *os.File, pick func(cast.Event) ([]byte, error)) error {
	d, err := decode(file)
	if err != nil {
		return err
	}
	err = each(d, func(ev cast.Event) error {
		data, err := pick(ev)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if errors.Is(err, cast.ErrTorn) {
		return nil
	}
	return err
}

// decode begins to read a cast. The header of a live one may just be being
// written: after a few tries, and if its recorder was stopped in that, it is done
// without.
func decode(file *os.File) (d *cast.Decoder, err error) {
	for range 3 {
		if d, err = cast.NewDecoder(file); err == nil || !sink.IsLive(file.Name()) {
			return d, err
		}
		if _, err = file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	_, err = file.Seek(cast.SlotSize, io.SeekStart)
	return cast.NewEventDecoder(file, 2), err
}
