package sink_test

import (
	"bytes"
	"fmt"
	"testing"

	"exectape/session"
	"exectape/sink"

	"go.uber.org/zap"
)

// BenchmarkAShortSession is what a command that says one line costs its cast.
func BenchmarkAShortSession(b *testing.B) {
	d, err := sink.OpenDir(b.TempDir(), sink.Options{Version: 2}, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r, err := d.Open(newInfo(fmt.Sprintf("%08x", i)))
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range []session.Event{
			output(session.Stdout, "total 0\n"),
			{Kind: session.Status, Exit: &session.Exit{}},
		} {
			if err := r.Record(e); err != nil {
				b.Fatal(err)
			}
			if err := r.Commit(nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := r.Close(session.End{Reason: session.EndCompleted}); err != nil {
			b.Fatal(err)
		}
	}
}

// What passes at once when there is much, of which text is written as it is and
// zeros are six times as long.
func BenchmarkMuchAtOnce(b *testing.B) {
	for name, p := range map[string][]byte{"text": bytes.Repeat([]byte("a line of text\r\n"), 8<<10), "zeros": make([]byte, 128<<10)} {
		b.Run(name, func(b *testing.B) {
			d, err := sink.OpenDir(b.TempDir(), sink.Options{Version: 2}, zap.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = d.Close() }()
			r, err := d.Open(newInfo("00000000"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if err := r.Record(session.Event{Kind: session.Output, Stream: session.Stdout, Data: p}); err != nil {
					b.Fatal(err)
				}
				if err := r.Commit(nil); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.Close(session.End{Reason: session.EndCompleted}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
