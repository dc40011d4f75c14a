package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"exectape/cast"
	"exectape/session"
)

// describe returns what a cast's header says of its session.
func describe(h cast.Header) session.Summary {
	s := session.Summary{
		ID: h.Facts.ID, Node: h.Facts.Node, Start: h.Start.UTC(), Verb: h.Facts.Verb, Protocol: h.Facts.Protocol,
		Subprotocol: h.Facts.Subprotocol, Target: h.Facts.Target,
		TTY: h.Facts.TTY, ExitCode: h.Facts.ExitCode, EndReason: h.Facts.EndReason, EndDetail: h.Facts.EndDetail,
		Identity: h.Facts.Identity, Claims: h.Facts.Claims, Peer: h.Facts.Peer,
		Gaps: []session.Loss{},
	}
	if n := h.Facts.StdinBytes; n != nil {
		s.Streams.Stdin = &session.Count{Bytes: *n}
	}
	return s
}

// facts is the inverse of describe, for a cast that says have: what its header
// says if its summary is right.
func facts(s *session.Summary, have cast.Facts) cast.Facts {
	f := cast.Facts{
		ID: s.ID, Node: s.Node, Verb: s.Verb, Protocol: s.Protocol, Subprotocol: s.Subprotocol, Target: s.Target,
		TTY: s.TTY, ExitCode: s.ExitCode, EndReason: s.EndReason, EndDetail: s.EndDetail,
		Identity: s.Identity, Claims: s.Claims, Peer: s.Peer,
		StdinBytes: have.StdinBytes, // which is compared with all that was counted
	}
	if have.EndReason == "" && s.EndReason == session.EndInterrupted { // nobody was there to say so
		f.EndReason = ""
	}
	if strings.HasPrefix(s.EndDetail, errDamaged.Error()) { // found out when the header was written
		f.EndDetail = have.EndDetail
	}
	return f
}

// A tally is what a header does not say: how much there is of what.
type tally struct {
	streams session.Streams
	gaps    []session.Loss
	bytes   int64 // of all streams, and what was kept raw
}

// see counts one event.
func (t *tally) see(e session.Event) {
	switch e.Kind {
	case session.Opened:
		t.count(e.Stream)
	case session.Output, session.Input:
		t.bytes += int64(len(e.Data))
		t.count(e.Stream).Bytes += int64(len(e.Data))
	case session.Raw:
		t.bytes += int64(len(e.Data))
	case session.Gap:
		t.lacks(*e.Lost)
	}
}

// lacks notes a loss. What is withheld is one loss for each stream, however often.
func (t *tally) lacks(loss session.Loss) {
	same := func(l session.Loss) bool { return l.Reason == loss.Reason }
	if i := slices.IndexFunc(t.gaps, same); i >= 0 && strings.HasPrefix(loss.Reason, session.Withheld) {
		t.gaps[i].Bytes += loss.Bytes
		return
	}
	t.gaps = append(t.gaps, loss)
}

// count returns where the bytes of a stream are counted.
func (t *tally) count(stream session.Stream) *session.Count {
	var c **session.Count
	switch stream {
	case session.Stdin:
		c = &t.streams.Stdin
	case session.Stdout:
		c = &t.streams.Stdout
	case session.Stderr:
		c = &t.streams.Stderr
	default:
		return new(session.Count)
	}
	if *c == nil {
		*c = new(session.Count)
	}
	return *c
}

// summarize returns the summary of a session that took so long.
func (t *tally) summarize(h cast.Header, took time.Duration) session.Summary {
	s := describe(h)
	s.End = s.Start.Add(took)
	s.Streams.Stdout, s.Streams.Stderr = t.streams.Stdout, t.streams.Stderr
	if t.streams.Stdin != nil { // else the header has the count, or there is none
		s.Streams.Stdin = t.streams.Stdin
	}
	s.Gaps = append(s.Gaps, t.gaps...)
	return s
}

// A reading is what is found in a cast when it is read to its end.
type reading struct {
	header cast.Header // as the last h has it
	tally  tally
	took   time.Duration
	closed bool // the last event is an h
	early  int  // the first line that is earlier than the one before it; 0: none
}

// read reads the events of a cast whose slot says header.
func read(d *cast.Decoder, header cast.Header) (reading, error) {
	r := reading{header: header}
	var exact cast.Exact
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err == nil {
			err = r.see(&exact, ev)
		}
		if err != nil {
			return r, err
		}
		if ev.At < r.took && r.early == 0 {
			r.early = d.Line()
		}
		r.took, r.closed = ev.At, ev.Code == "h"
	}
}

// see takes one event as it was taken when it was recorded.
func (r *reading) see(exact *cast.Exact, ev cast.Event) error {
	switch ev.Code {
	case "h":
		if err := json.Unmarshal([]byte(ev.Data), &r.header); err != nil {
			return fmt.Errorf("event %q: %w", ev.Code, err)
		}
		return nil
	case "x": // its h may have been torn off
		code, err := strconv.Atoi(ev.Data)
		if err != nil {
			return fmt.Errorf("event %q: %w", ev.Code, err)
		}
		r.header.Facts.ExitCode = &code
		return nil
	case "g":
		var loss session.Loss
		if err := json.Unmarshal([]byte(ev.Data), &loss); err != nil {
			return fmt.Errorf("event %q: %w", ev.Code, err)
		}
		r.tally.see(session.Event{Kind: session.Gap, Lost: &loss})
		return nil
	case "w":
		_, data, err := cast.Wire(ev)
		r.tally.see(session.Event{Kind: session.Raw, Data: data})
		return err
	case "i", "B", "C":
		data, err := exact.Input(ev)
		r.tally.see(session.Event{Kind: session.Input, Stream: session.Stdin, Data: data})
		return err
	}
	stream, data, err := exact.Output(ev)
	if len(data) > 0 {
		r.tally.see(session.Event{Kind: session.Output, Stream: stream, Data: data})
	}
	return err
}
