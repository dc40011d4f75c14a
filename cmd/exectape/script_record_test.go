package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"exectape/session"
	"exectape/sink"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/zap"
)

// recordSession records a session, with what records them in life:
//
//	record DIR START ID WORD ...
//
// A WORD is what happens, or what is known:
//
//	exec, attach            the verb; exec, if none is named
//	pod=NS/POD/CONTAINER    whose it is
//	tty, or 132x43          there is a terminal, of that size from then on
//	stdout=TEXT, and so on  what passes on a stream; Go's escapes mean what they do there
//	wire=TEXT               what the client sends and can't be decoded
//	gap=REASON              17 bytes are missing
//	+1s                     time passes
//	exit=CODE               the outcome
//	live                    it goes on: until "finish ID", or the script's end
func recordSession(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: record DIR START ID WORD ...")
	}
	start, err := time.Parse(time.RFC3339, args[1])
	ts.Check(err)
	dir, err := sink.OpenDir(ts.MkAbs(args[0]), sink.Options{Version: 2, Stdin: sink.StdinFull}, zap.NewNop())
	ts.Check(err)
	info := session.Info{ID: args[2], Start: start, Verb: "exec", Protocol: "spdy", Subprotocol: "v4.channel.k8s.io", Target: netip.MustParseAddrPort("127.0.0.1:34567")}
	words := args[3:]
	if len(words) > 0 && words[0] == "attach" {
		info.Verb = "attach"
	}
	recorder, err := dir.Open(info)
	ts.Check(err)
	end := session.End{Reason: session.EndClient}
	finish := func() {
		ts.Check(recorder.Close(end))
		ts.Check(dir.Close())
	}
	for _, word := range words {
		switch ev, err := happening(word, &end); {
		case word == "live":
			ts.Check(recorder.Commit(nil))
			finish = sync.OnceFunc(finish)
			ts.Value(liveSessions{}).(map[string]func())[info.ID] = finish
			ts.Defer(finish)
			return
		case err != nil:
			ts.Fatalf("record: %v", err)
		case ev.Kind != 0:
			ev.At = end.At
			ts.Check(recorder.Record(ev))
		}
	}
	finish()
}

// liveSessions is the key of what finishes each session of a script that goes
// on.
type liveSessions struct{}

// finishSession ends a session that goes on: finish ID
func finishSession(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: finish ID")
	}
	ts.Value(liveSessions{}).(map[string]func())[args[0]]()
}

// happening returns the event that a word stands for, if it stands for one.
func happening(word string, end *session.End) (ev session.Event, err error) {
	name, value, _ := strings.Cut(word, "=")
	value, err = strconv.Unquote(`"` + value + `"`)
	if err != nil {
		return ev, fmt.Errorf("%s: %w", word, err)
	}
	ev.Data = []byte(value)
	switch stream, isStream := session.ParseStream(name); {
	case word == "exec", word == "attach", word == "live":
	case word[0] == '+':
		var pause time.Duration
		pause, err = time.ParseDuration(word[1:])
		end.At += pause
	case word == "tty":
		ev.Kind, ev.Stream = session.Opened, session.ResizeStream
	case isStream && stream == session.Stdin:
		ev.Kind, ev.Stream = session.Input, stream
	case isStream:
		ev.Kind, ev.Stream = session.Output, stream
	case name == "pod":
		is := strings.Split(value, "/")
		ev.Kind = session.Identified
		ev.Identity = &session.Identity{Namespace: is[0], Pod: is[1], Container: is[2], Confidence: session.ConfidenceExact}
	case name == "wire":
		ev.Kind, ev.From = session.Raw, session.FromClient
	case name == "gap":
		ev.Kind, ev.Lost = session.Gap, &session.Loss{Bytes: 17, Reason: value}
	case name == "exit":
		ev.Kind, ev.Exit = session.Status, &session.Exit{}
		ev.Exit.Code, err = strconv.Atoi(value)
		end.Reason = session.EndCompleted
	default:
		ev.Kind = session.Resize
		_, err = fmt.Sscanf(word, "%dx%d", &ev.Size.Cols, &ev.Size.Rows)
	}
	return ev, err
}
