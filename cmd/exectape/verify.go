package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"exectape/sink"
)

const verifyHelp = `Usage: exectape verify [--json] [DIR|FILE ...]

Computes again what the summaries of finished casts promise, and names every
cast that was cut, edited, reordered or renamed, and every cast and summary that
has lost the other: those of EXECTAPE_DIR, or of the directories and files that
are named. There is a line for each problem, and one that counts.

  good         the cast is what was recorded
  interrupted  so it is, up to where its recorder went away
  live         its session goes on: nothing is promised yet
  left-behind  its recorder went away, and no "exectape run" has finished it
  bad          something is at odds with something else, or the disk failed

With --json each cast is a line: its path, its state, and its problems.

A checksum finds corruption. It does not find what somebody has made up who may
write to the directory, summaries included: whoever wants that found keeps the
casts where that somebody is not.

Example: what came back from a backup.

  exectape verify /mnt/backup/casts

Exit codes: 0, none is bad; 1, some are, or can't be looked at; 2, the arguments
are mistaken.
`

// runVerify verifies casts.
func runVerify(ctx context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	if help, err := parse(flags, args, verifyHelp, stdout); help || err != nil {
		return err
	}
	counts := make(map[sink.State]int)
	say := func(v sink.Verdict) error { return sayVerdict(stdout, paletteFor(cfg, stdout), v) }
	if lines := json.NewEncoder(stdout); *asJSON {
		say = func(v sink.Verdict) error { return lines.Encode(v) }
	}
	for _, place := range places(cfg, flags) {
		err := sink.Verify(ctx, place, func(v sink.Verdict) error {
			counts[v.State]++
			return say(v)
		})
		if err != nil {
			return err
		}
	}
	if !*asJSON {
		if _, err := fmt.Fprintln(stdout, tally(counts)); err != nil {
			return err
		}
	}
	if n := counts[sink.Bad]; n > 0 {
		return fmt.Errorf("verify: not what was recorded: %d", n)
	}
	return nil
}

// sayVerdict prints what there is to say about a cast that is not simply good.
func sayVerdict(w io.Writer, colours palette, v sink.Verdict) (err error) {
	for _, problem := range v.Problems {
		if err == nil {
			_, err = fmt.Fprintf(w, "%s: %s\n", plain(v.Path), colours.paint(red, plain(problem)))
		}
	}
	if v.State != sink.Good && v.State != sink.Bad {
		_, err = fmt.Fprintf(w, "%s: %s\n", plain(v.Path), v.State)
	}
	return err
}

// tally counts casts by their states, in one line.
func tally(counts map[sink.State]int) (line string) {
	for _, state := range []sink.State{sink.Good, sink.Interrupted, sink.Live, sink.LeftBehind, sink.Bad} {
		if line != "" {
			line += ", "
		}
		line += fmt.Sprint(counts[state], " ", state)
	}
	return line
}
