package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"exectape/session"
	"exectape/sink"
)

const lsHelp = `Usage: exectape ls [--json] [DIR|FILE ...]

Lists casts, the oldest first: those of EXECTAPE_DIR, or of the directories and
files that are named. With --json each is a line of its own, as in its summary.

Example: the sessions that did not end well.

  exectape ls --json | jq -c 'select(.exit_code != 0)'
`

// runLs lists casts.
func runLs(_ context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("ls", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	if help, err := parse(flags, args, lsHelp, stdout); help || err != nil {
		return err
	}
	places := flags.Args()
	if len(places) == 0 {
		places = []string{cfg.Dir}
	}
	var all []sink.Entry
	for _, place := range places {
		entries, err := entries(place)
		if err != nil {
			return err
		}
		all = append(all, entries...)
	}
	list := lsTable
	if *asJSON {
		list = lsJSON
	}
	return errors.Join(list(stdout, all), unreadable(all))
}

// unreadable returns why some casts could not be read, if any could not.
func unreadable(all []sink.Entry) error {
	var errs []error
	for _, e := range all {
		errs = append(errs, e.Err)
	}
	return errors.Join(errs...)
}

// parse parses a subcommand's flags, or prints its help.
func parse(flags *flag.FlagSet, args []string, help string, stdout io.Writer) (helped bool, err error) {
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := fmt.Fprint(stdout, help)
		return true, err
	case err != nil:
		return false, usageError{fmt.Errorf(`%s: %w; "exectape %[1]s -h" explains`, flags.Name(), err)}
	}
	return false, nil
}

// entries returns the casts at a place, which is a directory or a cast.
func entries(place string) ([]sink.Entry, error) {
	info, err := os.Stat(place)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return sink.List(place)
	}
	entry, err := sink.Stat(place)
	return []sink.Entry{entry}, err
}

func lsJSON(w io.Writer, all []sink.Entry) error {
	lines := json.NewEncoder(w)
	for _, e := range all {
		if e.Err != nil {
			continue
		}
		if err := lines.Encode(e.Summary); err != nil {
			return err
		}
	}
	return nil
}

func lsTable(w io.Writer, all []sink.Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "START\tDURATION\tVERB\tPROTOCOL\tTTY\tSTDOUT\tSTDERR\tEXIT\tEND\tFILE")
	for _, e := range all {
		s := e.Summary
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			start(s), duration(s), cmp.Or(s.Verb, "-"), cmp.Or(s.Protocol, "-"), yesNo(s.TTY),
			count(s.Streams.Stdout), count(s.Streams.Stderr), code(s.ExitCode), end(e), filepath.Base(e.Path))
	}
	return t.Flush()
}

func start(s session.Summary) string {
	if s.Start.IsZero() {
		return "-"
	}
	return s.Start.Format(time.RFC3339)
}

func duration(s session.Summary) string {
	if s.End.IsZero() {
		return "-"
	}
	return s.End.Sub(s.Start).Round(time.Millisecond).String()
}

func end(e sink.Entry) string {
	switch {
	case e.Err != nil:
		return "unreadable"
	case e.Live:
		return "live"
	}
	return cmp.Or(string(e.Summary.EndReason), "-")
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return "-"
	case *b:
		return "yes"
	}
	return "no"
}

func count(c *session.Count) string {
	if c == nil {
		return "-"
	}
	return strconv.FormatInt(c.Bytes, 10)
}

func code(c *int) string {
	if c == nil {
		return "-"
	}
	return strconv.Itoa(*c)
}
