package sink_test

import (
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
