package main

import (
	"errors"
	"flag"
	"path"
	"slices"
	"strconv"
	"time"

	"exectape/session"
	"exectape/sink"
)

// A filter says which casts are meant. The zero value means all.
type filter struct {
	since, until time.Time // zero: any
	containers
	verb string              // empty: any
	exit func(code int) bool // nil: any, and none
	live bool
}

// containers says by patterns in which containers sessions are meant. An empty
// one means any.
type containers struct{ namespace, pod, container string }

// flag adds the flags of it.
func (c *containers) flag(flags *flag.FlagSet) {
	for name, to := range map[string]*string{"namespace": &c.namespace, "pod": &c.pod, "container": &c.container} {
		flags.Func(name, "", func(text string) error {
			*to = text
			_, err := path.Match(text, "")
			return err
		})
	}
}

// mean reports whether i is, or may be, in a container that is meant.
func (c containers) mean(i session.Identity) bool {
	if c == (containers{}) {
		return true
	}
	may := append([]session.Candidate{{Namespace: i.Namespace, Pod: i.Pod, Container: i.Container}}, i.Candidates...)
	return slices.ContainsFunc(may, func(m session.Candidate) bool {
		return matches(c.namespace, m.Namespace) && matches(c.pod, m.Pod) && matches(c.container, m.Container)
	})
}

// flag adds the flags of a filter. Times that are spans are counted from now.
func (f *filter) flag(flags *flag.FlagSet, now time.Time) {
	moment := func(t *time.Time) func(string) error {
		return func(text string) (err error) {
			*t, err = parseMoment(text, now)
			return err
		}
	}
	flags.Func("since", "", moment(&f.since))
	flags.Func("until", "", moment(&f.until))
	f.containers.flag(flags)
	flags.Func("verb", "", func(text string) error {
		f.verb = text
		if text != "exec" && text != "attach" {
			return errors.New("not a verb; write exec or attach")
		}
		return nil
	})
	flags.Func("exit", "", func(text string) (err error) {
		f.exit, err = parseExit(text)
		return err
	})
	flags.BoolVar(&f.live, "live", false, "")
}

func parseMoment(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, errors.New("neither a time nor how long ago; write 2026-11-23T17:30:00Z or 2h")
	}
	return t, nil
}

func parseExit(text string) (func(code int) bool, error) {
	if text == "nonzero" {
		return func(code int) bool { return code != 0 }, nil
	}
	want, err := strconv.Atoi(text)
	if err != nil {
		return nil, errors.New("not an exit code; write a number or nonzero")
	}
	return func(code int) bool { return code == want }, nil
}

// pick returns those that are meant. One that can't be read is always among
// them: nobody knows whether it is meant.
func (f *filter) pick(all []sink.Entry) []sink.Entry {
	return slices.DeleteFunc(all, func(e sink.Entry) bool { return e.Err == nil && !f.means(e) })
}

func (f *filter) means(e sink.Entry) bool {
	s := e.Summary
	switch {
	case f.live && !e.Live,
		f.verb != "" && f.verb != s.Verb,
		f.exit != nil && (s.ExitCode == nil || !f.exit(*s.ExitCode)),
		!f.since.IsZero() && !s.End.IsZero() && s.End.Before(f.since),
		!f.until.IsZero() && s.Start.After(f.until):
		return false
	}
	return f.containers.mean(s.Identity)
}

// matches reports whether name is one that pattern means. What is not known is
// not.
func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // it was parsed before
	return pattern == "" || ok && name != ""
}
