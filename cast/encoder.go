package cast

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"exectape/session"
)

// An Encoder makes the lines of one cast. It is used by one goroutine at a
// time. It does not allocate but in the buffers that it appends to.
type Encoder struct {
	header Header
	said   []byte // the header, as the last h has it
	sized  bool   // the header's size came from the client
	ended  bool   // an exit status was written

	last    int64          // microseconds: the time of the line before
	stream  session.Stream // whose output was written last
	carries [3][]byte      // of stdout, stderr and stdin: what the last c, or C, said
	joined  []byte         // a carry and what came behind it

	typed   int64 // by CountInput
	counted bool  // CountInput was called
}

// NewEncoder returns the encoder of the session that info describes.
func NewEncoder(version int, info session.Info) *Encoder {
	return &Encoder{
		stream: session.Stdout,
		header: Header{Version: version, Size: session.DefaultSize, Start: info.Start, Facts: Facts{
			ID: info.ID, Node: info.Node, Verb: info.Verb, Protocol: info.Protocol, Subprotocol: info.Subprotocol, Target: info.Target, Claims: info.Claims,
		}},
	}
}

// Header returns the header as it is by now.
func (e *Encoder) Header() Header { return e.header }

// AppendSlot appends what belongs into the cast's slot by now, which is what the
// last h says.
func (e *Encoder) AppendSlot(dst []byte) []byte { return appendSlot(dst, e.said) }

// Begin appends what a cast begins with: the slot, and a line that says the same.
func (e *Encoder) Begin(dst []byte) []byte {
	e.said = e.header.compact()
	return e.repeat(e.AppendSlot(dst), 0)
}

// Append appends the lines of ev to dst. It reports whether the header has
// changed; the lines then say so, too, and must be written before the slot is.
func (e *Encoder) Append(dst []byte, ev session.Event) (lines []byte, headerChanged bool) {
	switch ev.Kind {
	case session.Opened:
		return e.opened(dst, ev)
	case session.Output:
		return e.output(dst, ev), false
	case session.Input:
		return e.input(dst, ev), false
	case session.Resize:
		return e.resize(dst, ev)
	case session.Status:
		return e.status(dst, ev)
	case session.Raw:
		return e.raw(dst, ev), false
	case session.Gap:
		return e.gap(dst, ev), false
	case session.Identified:
		e.header.Facts.Identity = bounded(*ev.Identity)
		return e.headerLine(dst, ev.At), true
	case session.Met:
		e.header.Facts.Peer = ev.Peer
		return e.headerLine(dst, ev.At), true
	}
	return dst, false
}

// CountInput counts input of which nothing else is to be in the cast. End puts
// the sum into the header.
func (e *Encoder) CountInput(bytes int) {
	e.counted = true
	e.typed += int64(bytes)
}

// Note appends a line that says in the header what there is to know of a cast
// that may end anywhere from here on.
func (e *Encoder) Note(dst []byte, at time.Duration, detail string) []byte {
	e.header.Facts.EndDetail = detail
	return e.headerLine(dst, at)
}

// End appends the last line. What the runtime said stays the detail if there is
// no better one.
func (e *Encoder) End(dst []byte, end session.End) []byte {
	e.header.Facts.EndReason = end.Reason
	e.header.Facts.EndDetail = cmp.Or(end.Detail, e.header.Facts.EndDetail)
	if e.counted {
		e.header.Facts.StdinBytes = &e.typed
	}
	return e.headerLine(dst, end.At)
}

// opened knows a terminal by its streams: with one there is a resize stream,
// without one a stderr.
func (e *Encoder) opened(dst []byte, ev session.Event) ([]byte, bool) {
	tty := ev.Stream == session.ResizeStream
	if e.header.Facts.TTY != nil || !tty && ev.Stream != session.Stderr {
		return dst, false
	}
	e.header.Facts.TTY = &tty
	return e.headerLine(dst, ev.At), true
}

// resize puts the first size into the header: the prompt usually comes before
// it, and was meant for it.
func (e *Encoder) resize(dst []byte, ev session.Event) ([]byte, bool) {
	if !e.sized {
		e.sized, e.header.Size = true, ev.Size
		return e.headerLine(dst, ev.At), true
	}
	dst = e.begin(dst, ev.At, 'r')
	dst = strconv.AppendUint(append(dst, '"'), uint64(ev.Size.Cols), 10)
	dst = strconv.AppendUint(append(dst, 'x'), uint64(ev.Size.Rows), 10)
	return append(dst, "\"]\n"...), false
}

func (e *Encoder) status(dst []byte, ev session.Event) ([]byte, bool) {
	e.header.Facts.EndDetail = ev.Exit.Message
	if code := ev.Exit.Code; code != session.NoCode && !e.ended {
		e.ended, e.header.Facts.ExitCode = true, &code
		dst = e.begin(dst, ev.At, 'x')
		dst = strconv.AppendInt(append(dst, '"'), int64(code), 10)
		dst = append(dst, "\"]\n"...)
	}
	return e.headerLine(dst, ev.At), true
}

func (e *Encoder) raw(dst []byte, ev session.Event) []byte {
	for p := ev.Data; len(p) > 0; {
		n := min(len(p), maxPart)
		dst = append(append(e.begin(dst, ev.At, 'w'), '"'), ev.From.String()...)
		dst = appendBase64(append(dst, ':'), p[:n])
		dst = append(dst, "\"]\n"...)
		p = p[n:]
	}
	return dst
}

func (e *Encoder) gap(dst []byte, ev session.Event) []byte {
	loss, err := json.Marshal(ev.Lost)
	if err != nil {
		panic("cast: a loss always marshals: " + err.Error())
	}
	return append(appendString(e.begin(dst, ev.At, 'g'), loss), "]\n"...)
}

// headerLine says in a line what the slot is to say: a slot that is being
// written when everything stops can be made again from it.
func (e *Encoder) headerLine(dst []byte, at time.Duration) []byte {
	e.said = e.header.compact()
	return e.repeat(dst, at)
}

func (e *Encoder) repeat(dst []byte, at time.Duration) []byte {
	return append(appendString(e.begin(dst, at, 'h'), e.said), "]\n"...)
}

// begin appends a line up to its data. Times are cut to the microsecond before
// anything is computed from them, so that the intervals of v3 add up to the
// times of v2; they never go back.
func (e *Encoder) begin(dst []byte, at time.Duration, code byte) []byte {
	now := max(at.Microseconds(), e.last)
	shown := now
	if e.header.Version == 3 {
		shown -= e.last
	}
	e.last = now
	dst = strconv.AppendInt(append(dst, '['), shown/1e6, 10)
	dst = append(dst, '.')
	for unit := int64(1e5); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+shown/unit%10))
	}
	return append(dst, ',', ' ', '"', code, '"', ',', ' ')
}
