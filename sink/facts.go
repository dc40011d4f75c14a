package sink

import (
	"time"

	"exectape/session"
)

// facts gathers a session's summary from its events.
type facts struct {
	start   time.Time
	summary session.Summary
}

func newFacts(info session.Info) facts {
	return facts{start: info.Start, summary: session.Summary{
		ID: info.ID, Start: info.Start.UTC(), Verb: info.Verb,
		Protocol: info.Protocol, Subprotocol: info.Subprotocol, Target: info.Target,
		Gaps: []session.Loss{},
	}}
}

func (f *facts) see(e session.Event) {
	switch e.Kind {
	case session.Opened:
		f.opened(e.Stream)
	case session.Output:
		f.count(e.Stream).Bytes += int64(len(e.Data))
	case session.Status:
		if code := e.Exit.Code; code != session.NoCode {
			f.summary.ExitCode = &code
		}
	case session.Gap:
		f.summary.Gaps = append(f.summary.Gaps, *e.Lost)
	}
}

// opened knows a terminal by its streams.
func (f *facts) opened(stream session.Stream) {
	switch stream {
	case session.Stdout, session.Stderr:
		f.count(stream)
	}
	tty := stream == session.ResizeStream
	if f.summary.TTY == nil && (tty || stream == session.Stderr) {
		f.summary.TTY = &tty
	}
}

func (f *facts) count(stream session.Stream) *session.Count {
	c := &f.summary.Streams.Stdout
	if stream == session.Stderr {
		c = &f.summary.Streams.Stderr
	}
	if *c == nil {
		*c = new(session.Count)
	}
	return *c
}

func (f *facts) end(end session.End) {
	f.summary.End = f.start.Add(end.At).UTC()
	f.summary.EndReason, f.summary.EndDetail = end.Reason, end.Detail
}
