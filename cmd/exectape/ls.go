package main

import (
	"bytes"
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
	"strings"
	"text/tabwriter"
	"time"

	"exectape/session"
	"exectape/sink"
)

const lsHelp = `Usage: exectape ls [FILTER ...] [--json] [DIR|FILE ...]

Lists casts, the oldest first: those of EXECTAPE_DIR, or of the directories and
files that are named. With --json each is a line of its own, as in its summary.

All filters that are given must hold:

  --since TIME         the session ended after that, or goes on
  --until TIME         the session began before that
  --namespace PATTERN  of the session's pod, or of one that it may be: shop-*
  --pod PATTERN        likewise: web-*
  --container PATTERN  likewise: app
  --verb VERB          exec or attach
  --exit CODE          a number, or nonzero; one that reported none is neither
  --live               the session goes on

TIME is one, as in 2026-11-23T17:30:00Z, or how long ago, as in 2h. What can't
be read is always listed: nobody knows what it is. On a terminal, live sessions
are green, failed ones red.

Examples: what went on in the shop in the last hour; the sessions that ended
before they were through.

  exectape ls --namespace shop --since 1h
  exectape ls --json | jq -c 'select(.exit_code == null)'

Exit codes: 0, all were read; 1, some can't be, or there is no such directory;
2, the arguments are mistaken.
`

// runLs lists casts.
func runLs(_ context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("ls", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	var meant filter
	meant.flag(flags, time.Now())
	if help, err := parse(flags, args, lsHelp, stdout); help || err != nil {
		return err
	}
	var all []sink.Entry
	for _, place := range places(cfg, flags) {
		entries, err := entries(place)
		if err != nil {
			return err
		}
		all = append(all, entries...)
	}
	all = meant.pick(all)
	if *asJSON {
		return errors.Join(lsJSON(stdout, all), unreadable(all))
	}
	return errors.Join(lsTable(stdout, paletteFor(cfg, stdout), all), unreadable(all))
}

// places returns the directories and files that are named.
func places(cfg config, flags *flag.FlagSet) []string {
	if flags.NArg() == 0 {
		return []string{cfg.Dir}
	}
	return flags.Args()
}

// maxTold is of how many casts it is said why they can't be read. The table has
// all of them.
const maxTold = 10

// unreadable returns why some casts could not be read, if any could not.
func unreadable(all []sink.Entry) error {
	var errs []error
	for _, e := range all {
		if e.Err != nil {
			errs = append(errs, e.Err)
		}
	}
	if more := len(errs) - maxTold; more > 0 {
		errs = append(errs[:maxTold], fmt.Errorf("and %d more can't be read", more))
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

func lsTable(w io.Writer, colours palette, all []sink.Entry) error {
	var table bytes.Buffer
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "START\tDURATION\tVERB\tPROTOCOL\tPOD\tCONTAINER\tTTY\tSTDOUT\tSTDERR\tEXIT\tEND\tFILE")
	for _, e := range all {
		s := e.Summary
		pod, container := whose(s.Identity)
		row := []string{start(s), duration(s), s.Verb, s.Protocol, pod, container, yesNo(s.TTY),
			count(s.Streams.Stdout), count(s.Streams.Stderr), code(s.ExitCode), end(e), filepath.Base(e.Path)}
		for i, text := range row {
			row[i] = cmp.Or(plain(text), "-")
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // to a buffer
	lines := strings.SplitAfter(table.String(), "\n")
	for i, e := range all {
		if colour := colourOfEntry(e); colour != 0 {
			lines[i+1] = colours.paint(colour, strings.TrimSuffix(lines[i+1], "\n")) + "\n"
		}
	}
	_, err := io.WriteString(w, strings.Join(lines, ""))
	return err
}

// colourOfEntry returns 0 for what is neither live nor failed.
func colourOfEntry(e sink.Entry) int {
	switch failed := e.Summary.ExitCode != nil && *e.Summary.ExitCode != 0; {
	case e.Err != nil || failed:
		return red
	case e.Live:
		return green
	}
	return 0
}

// whose returns the pod and the container that a session belongs to, as far as
// is known.
func whose(i session.Identity) (pod, container string) {
	switch {
	case i.Confidence == session.ConfidenceAmbiguous:
		return fmt.Sprintf("one of %d", len(i.Candidates)), ""
	case i.Pod != "":
		pod = i.Namespace + "/" + i.Pod
	}
	return pod, i.Container
}

func start(s session.Summary) string {
	if s.Start.IsZero() {
		return ""
	}
	return s.Start.Format(time.RFC3339)
}

func duration(s session.Summary) string {
	if s.End.IsZero() {
		return ""
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
	return string(e.Summary.EndReason)
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

func count(c *session.Count) string {
	if c == nil {
		return ""
	}
	return strconv.FormatInt(c.Bytes, 10)
}

func code(c *int) string {
	if c == nil {
		return ""
	}
	return strconv.Itoa(*c)
}
