package cast_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"exectape/cast"
	"exectape/session"
)

var info = session.Info{
	ID: "7f3a9c01", Node: "node-7", Start: time.Date(2026, 11, 23, 17, 31, 5, 0, time.UTC), Verb: "exec",
	Protocol: "spdy", Subprotocol: "v4.channel.k8s.io", Target: netip.MustParseAddrPort("127.0.0.1:34567"),
}

// A story is what happened in a session, at one event each 100 ms.
type story []session.Event

func out(stream session.Stream, data string) session.Event {
	return session.Event{Kind: session.Output, Stream: stream, Data: []byte(data)}
}

func typed(data string) session.Event {
	return session.Event{Kind: session.Input, Stream: session.Stdin, Data: []byte(data)}
}

func opened(stream session.Stream) session.Event {
	return session.Event{Kind: session.Opened, Stream: stream}
}

func resized(cols, rows uint16) session.Event {
	return session.Event{Kind: session.Resize, Size: session.Size{Cols: cols, Rows: rows}}
}

func exited(code int, message string) session.Event {
	return session.Event{Kind: session.Status, Exit: &session.Exit{Code: code, Message: message}}
}

// write makes the cast of a story, as a sink does: the slot last.
func write(version int, s story) []byte {
	e := cast.NewEncoder(version, info)
	file := e.Begin(nil)
	for i, ev := range s {
		ev.At = time.Duration(i+1) * 100 * time.Millisecond
		file, _ = e.Append(file, ev)
	}
	file = e.End(file, session.End{At: time.Duration(len(s)+1) * 100 * time.Millisecond, Reason: session.EndCompleted})
	copy(file, e.Header().Slot())
	return file
}

// decoded reads a cast to its end.
func decoded(t *testing.T, file []byte) (cast.Header, []cast.Event) {
	t.Helper()
	d, err := cast.NewDecoder(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var events []cast.Event
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) {
			return d.Header(), events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
}

// streams returns what a cast says was written and typed, by stream.
func streams(t *testing.T, events []cast.Event) map[session.Stream]string {
	t.Helper()
	var exact cast.Exact
	all := map[session.Stream]string{}
	for _, ev := range events {
		stream, data, err := exact.Output(ev)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			all[stream] += string(data)
		}
		if data, err = exact.Input(ev); err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			all[session.Stdin] += string(data)
		}
	}
	return all
}

var stories = map[string]story{
	"minimal": {},
	"terminal": {
		opened(session.ErrorStream), opened(session.Stdin), opened(session.Stdout), opened(session.ResizeStream),
		out(session.Stdout, "$ "), resized(132, 43), out(session.Stdout, "\x1b[1mh\xc3\xa9llo\x1b[0m \"\\\r\n"), resized(81, 25), exited(0, ""),
	},
	"two streams": {
		opened(session.Stdout), opened(session.Stderr),
		out(session.Stdout, "out\n"), out(session.Stderr, "err\n"), out(session.Stdout, "out2\n"), exited(3, "command terminated with exit code 3"),
	},
	"carries": {
		out(session.Stdout, "caf\xc3"), out(session.Stderr, "\xe2\x82"), out(session.Stdout, "\xa9 \xf0"), out(session.Stdout, "\x9f"),
		out(session.Stderr, "\xac!"), out(session.Stdout, "\x98\x80"), out(session.Stderr, "\xf0\x9f"),
	},
	"binary": {
		out(session.Stdout, "\x00\xff\xfe"), out(session.Stdout, "a long enough text before it and\xff behind"),
		out(session.Stdout, "\xff short \xff and now a long enough text again, which is text"),
	},
	"typed": {
		opened(session.Stdin), opened(session.Stdout), opened(session.Stderr),
		out(session.Stdout, "$ caf\xc3"), typed("caf\xc3"), out(session.Stderr, "\xe2\x82"), typed("\xa9 \xff"),
		out(session.Stdout, "\xa9"), typed("\x1b[24;80R"), typed("\xf0\x9f"), out(session.Stderr, "\xac"), typed("\x98\x80\x04"),
	},
	"identified": {
		opened(session.Stdout), out(session.Stdout, "$ "), identified(web), out(session.Stdout, "hello\r\n"), exited(0, ""),
	},
	"raw and gaps": {
		{Kind: session.Raw, From: session.FromClient, Data: []byte{0x80, 3, 0, 5}},
		{Kind: session.Raw, From: session.FromServer, Data: []byte("\x00\x00\x00\x09")},
		{Kind: session.Gap, Lost: &session.Loss{Bytes: 17, Reason: "the disk was full"}},
		exited(session.NoCode, "no such file: \"x\""),
	},
}
