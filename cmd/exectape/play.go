package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"exectape/cast"
	"exectape/session"
)

const playHelp = `Usage: exectape play [--speed N] [--idle-limit TIME] FILE
       exectape play --namespace PATTERN --pod PATTERN --container PATTERN

Plays a session as its client saw it, both streams, at the pace at which it
went. FILE is a cast, finished or live, the name of one in EXECTAPE_DIR, or a
session's id. A live one is played as far as it has come by then; "exectape tail
--session ID" follows it. In place of FILE, patterns such as --pod 'web-*' stand
for the latest session that is, or may be, in such a container.

  --speed N          N times as fast, from 0.01 to 1000
  --idle-limit TIME  makes no pause longer than that, as in 2s

The terminal gets the very bytes that the client's got: that is what playing
means, and what a container writes can steer a terminal. "exectape tail" and
"exectape cat FILE | cat -v" show it disarmed. The terminal is asked to take the
size that the session began with, and each that it was given later; many do not
let programs do that and stay as they are. ctrl-c ends it. Whatever the session
did to the terminal is undone at the end.

Afterwards, what the cast is known to lack is said on standard error.

Example: an hour in which little happened, in a few minutes.

  exectape play --speed 2 --idle-limit 1s 7f3a9c01

Exit codes: 0, it was played, or interrupted; 1, there is no such cast, or it
can't be read to its end; 2, the arguments are mistaken.
`

// runPlay plays a session.
func runPlay(ctx context.Context, cfg config, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("play", flag.ContinueOnError)
	p := player{}
	flags.Float64Var(&p.speed, "speed", 1, "")
	flags.DurationVar(&p.idle, "idle-limit", forever, "")
	var meant containers
	meant.flag(flags)
	if help, err := parse(flags, args, playHelp, stdout); help || err != nil {
		return err
	}
	switch {
	case !(p.speed >= 0.01 && p.speed <= 1000): // NaN neither
		return usageError{fmt.Errorf("play: --speed %v: not a speed; write a number from 0.01 to 1000", p.speed)}
	case p.idle <= 0:
		return usageError{fmt.Errorf("play: --idle-limit %v: no time passes in it; write one such as 2s", p.idle)}
	}
	file, err := openMeant(cfg.Dir, flags, meant)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return errors.Join(p.playFile(ctx, file, stdout), p.notes(stderr))
}

func (p *player) playFile(ctx context.Context, file *os.File, stdout io.Writer) (err error) {
	d, err := decode(file)
	if err != nil {
		return fmt.Errorf("play %s: %w", file.Name(), err)
	}
	if p.screen, err = openScreen(stdout, d.Header()); err != nil {
		return fmt.Errorf("play %s: %w", file.Name(), err)
	}
	defer func() { err = errors.Join(err, p.screen.close()) }()
	p.due = time.Now()
	err = each(d, func(ev cast.Event) error { return p.show(ctx, ev) })
	if errors.Is(err, cast.ErrTorn) || ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("play %s: %w", file.Name(), err)
	}
	return nil
}

// forever is longer than any session.
const forever = 100 * 365 * 24 * time.Hour

// A player shows the events of a cast when it is time for them.
type player struct {
	screen *screen
	speed  float64
	idle   time.Duration // the longest pause, before it is made faster

	exact cast.Exact
	at    time.Duration // in the cast, of what was shown last
	due   time.Time     // of the same: what is shown late does not put off the rest

	lost []session.Loss // what the cast lacks
	raw  int            // bytes of what can't be shown
}

// show shows one event, if there is anything to be seen of it.
func (p *player) show(ctx context.Context, ev cast.Event) error {
	_, output, err := p.exact.Output(ev)
	if err != nil {
		return err
	}
	switch {
	case len(output) > 0:
		if err := p.wait(ctx, ev.At); err != nil {
			return err
		}
		_, err = p.screen.w.Write(output)
	case ev.Code == "r":
		var size session.Size
		if n, _ := fmt.Sscanf(ev.Data, "%dx%d", &size.Cols, &size.Rows); n < 2 {
			return nil // another's cast, which may say what it likes
		}
		if err := p.wait(ctx, ev.At); err != nil {
			return err
		}
		err = p.screen.resize(size)
	case ev.Code == "g":
		var loss session.Loss
		err = json.Unmarshal([]byte(ev.Data), &loss)
		p.lost = append(p.lost, loss)
	case ev.Code == "w":
		_, data, wireErr := cast.Wire(ev)
		p.raw += len(data)
		err = wireErr
	}
	return err
}

// wait waits until it is time for what is at that time in the cast.
func (p *player) wait(ctx context.Context, at time.Duration) error {
	pause := min(float64(min(at-p.at, p.idle))/p.speed, float64(forever))
	p.at, p.due = at, p.due.Add(time.Duration(pause))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(p.due)):
		return nil
	}
}

// notes says what could not be shown.
func (p *player) notes(w io.Writer) (err error) {
	for _, loss := range p.lost {
		if err == nil {
			_, err = fmt.Fprintf(w, "exectape: %d bytes are missing: %s\n", loss.Bytes, plain(loss.Reason))
		}
	}
	if err == nil && p.raw > 0 {
		_, err = fmt.Fprintf(w, "exectape: %d bytes could not be decoded; \"exectape cat --wire client|server\" prints them\n", p.raw)
	}
	return err
}
