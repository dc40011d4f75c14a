package sink_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"exectape/session"
	"exectape/sink"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// password is typed in every session here. Its last byte is the beginning of a
// rune that does not end.
const password = "s\xc3\xa9cret\xff\xc3"

func openStdinDir(t *testing.T, path string, mode sink.StdinMode) *sink.Dir {
	t.Helper()
	d, err := sink.OpenDir(path, sink.Options{Version: 2, Stdin: mode}, zap.NewNop())
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// typeIt records a session in which the password is typed, byte by byte.
func typeIt(t *testing.T, r session.Recorder) {
	t.Helper()
	record(t, r, session.Event{Kind: session.Opened, Stream: session.Stdin}, session.Event{Kind: session.Opened, Stream: session.Stdout},
		output(session.Stdout, "Password: "))
	for i := range len(password) {
		record(t, r, session.Event{Kind: session.Input, Stream: session.Stdin, Data: []byte(password[i:][:1])})
	}
	record(t, r, output(session.Stdout, "\r\n"))
}

// stdinModes are what there is of the password afterwards: in the cast, and in
// the summary's streams.
var stdinModes = []struct {
	mode    sink.StdinMode
	typed   string
	streams string
}{
	{sink.StdinOff, "", `{"stdout":{"bytes":12}}`},
	{sink.StdinCount, "", `{"stdin":{"bytes":9},"stdout":{"bytes":12}}`},
	{sink.StdinFull, password, `{"stdin":{"bytes":9},"stdout":{"bytes":12}}`},
}

func TestWhatIsTypedIsRecordedAsFarAsIsAskedFor(t *testing.T) {
	for _, test := range stdinModes {
		t.Run(test.mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			r := begin(t, openStdinDir(t, dir, test.mode), "7f3a9c01")
			typeIt(t, r)
			must(t, r.Close(session.End{At: time.Second, Reason: session.EndCompleted}))

			e := only(t, dir)
			all := streams(t, e.Path)
			if all[session.Stdin] != test.typed || all[session.Stdout] != "Password: \r\n" {
				t.Errorf("streams = %q, want stdin %q", all, test.typed)
			}
			if test.mode != sink.StdinFull {
				nothingOfIt(t, dir)
			}
			// Nothing but how much: a digest would tell whether a guess is right.
			if got := streamsOf(t, e); got != test.streams {
				t.Errorf("streams of the summary = %s, want %s", got, test.streams)
			}
		})
	}
}

// nothingOfIt checks that no piece of the password, not even a key of it, is in
// any file.
func nothingOfIt(t *testing.T, dir string) {
	t.Helper()
	for _, name := range names(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		for _, trace := range []string{"cret", `"i"`, `"B"`, `"C"`} {
			if bytes.Contains(b, []byte(trace)) {
				t.Errorf("%s has %s in it", name, trace)
			}
		}
	}
}

func streamsOf(t *testing.T, e sink.Entry) string {
	t.Helper()
	b, err := json.Marshal(e.Summary.Streams)
	must(t, err)
	return string(b)
}

func TestASummaryThatIsMadeAgainCountsStdinAsTheFirstDid(t *testing.T) {
	for _, test := range stdinModes {
		t.Run(test.mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			d := openStdinDir(t, dir, test.mode)
			r := begin(t, d, "7f3a9c01")
			typeIt(t, r)
			must(t, r.Close(session.End{At: time.Second, Reason: session.EndCompleted}))
			first := only(t, dir)
			must(t, os.Remove(sink.Stem(first.Path)+".json"))

			must(t, d.Recover(t.Context()))
			if diff := cmp.Diff(first.Summary.Streams, only(t, dir).Summary.Streams); diff != "" {
				t.Errorf("streams (-first +second):\n%s", diff)
			}
		})
	}
}

// Nobody can tell what was typed in what can't be decoded, and it could hide how
// what follows is to be understood.
func TestAClientThatCantBeDecodedIsKeptWholeInEveryMode(t *testing.T) {
	for _, test := range stdinModes {
		t.Run(test.mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			r := begin(t, openStdinDir(t, dir, test.mode), "7f3a9c01")
			record(t, r, session.Event{Kind: session.Raw, From: session.FromClient, Data: []byte(password)})
			must(t, r.Close(session.End{Reason: session.EndCompleted}))
			e := only(t, dir)
			if got := wire(t, e.Path)[session.FromClient]; got != password {
				t.Errorf("of the client's bytes there are %q, want %q", got, password)
			}
			if got := streamsOf(t, e); got != "{}" {
				t.Errorf("streams of the summary = %s, want none: nobody can tell", got)
			}
		})
	}
}
