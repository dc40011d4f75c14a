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
	"strings"
	"text/tabwriter"
	"time"

	"exectape/admin"
	"exectape/session"
)

const probeHelp = `Usage: exectape probe

Asks the exectape that listens on EXECTAPE_SOCKET whether it is ready, and
prints a line for each thing that must be so: the word ok, or what is wrong.
It is what a kubelet's readiness probe runs: a probe of a port of the host's
could be answered by another instance.

Example: what is wrong here?

  exectape probe | grep -v ': ok$'

Exit codes: 0, it is ready; 1, it is not, or there is none; 2, the arguments are
mistaken.
`

func runProbe(ctx context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	if help, err := parse(flags, args, probeHelp, stdout); help || err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("probe takes no arguments; remove %q", flags.Arg(0))}
	}
	ready, err := admin.Get(ctx, cfg.Socket, "/readyz", stdout)
	if err == nil && !ready {
		err = errors.New("not ready")
	}
	return err
}

const sessionsHelp = `Usage: exectape sessions [--json]

Asks the exectape that listens on EXECTAPE_SOCKET which sessions go on, and
prints them, the oldest first. Unlike "exectape ls --live" it knows of sessions
for which no cast could be begun, and of none of another instance. Those beyond
EXECTAPE_MAX_SESSIONS are only counted, by exectape_sessions_total. With --json
each is a line of its own, as in a summary.

Example: the sessions that go on for more than an hour.

  exectape sessions --json |
    jq -c 'select(now - (.start | sub("[.][0-9]+Z$"; "Z") | fromdate) > 3600)'

Exit codes: 0, it has answered; 1, it has not, or there is none; 2, the
arguments are mistaken.
`

func runSessions(ctx context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("sessions", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	if help, err := parse(flags, args, sessionsHelp, stdout); help || err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("sessions takes no arguments but --json; remove %q", flags.Arg(0))}
	}
	var answer bytes.Buffer
	ok, err := admin.Get(ctx, cfg.Socket, "/sessions", &answer)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("ask exectape at %s: %s", cfg.Socket, &answer)
	case *asJSON:
		_, err := answer.WriteTo(stdout)
		return err
	}
	var all []session.Summary
	for lines := json.NewDecoder(&answer); ; {
		var live session.Summary
		if err := lines.Decode(&live); errors.Is(err, io.EOF) {
			return sessionsTable(stdout, all)
		} else if err != nil {
			return fmt.Errorf("the answer of exectape at %s: %w", cfg.Socket, err)
		}
		all = append(all, live)
	}
}

func sessionsTable(w io.Writer, all []session.Summary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "START\tFOR\tID\tVERB\tPROTOCOL\tPOD\tCONTAINER\tTTY\tSTDOUT\tSTDERR")
	for _, s := range all {
		pod, container := whose(s.Identity)
		row := []string{start(s), time.Since(s.Start).Round(time.Second).String(), s.ID, s.Verb, s.Protocol,
			pod, container, yesNo(s.TTY), count(s.Streams.Stdout), count(s.Streams.Stderr)}
		for i, text := range row {
			row[i] = cmp.Or(plain(text), "-")
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}
