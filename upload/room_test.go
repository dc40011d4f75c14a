package upload_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"exectape/sink"

	"go.uber.org/zap"
)

func TestNoCastIsRemovedBetweenItsOwnArrivalAndThatOfItsSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dir, err := sink.OpenDir(w.path, sink.Options{Version: 2, Room: sink.Room{MaxBytes: 1}}, zap.NewNop())
		must(t, err)
		t.Cleanup(func() { _ = dir.Close() })
		w.dir = dir
		w.finished("00000001", 300<<10)
		w.recorder.net.goes(func(p []byte, changed <-chan struct{}) []byte { <-changed; return p })
		w.start()
		time.Sleep(5 * time.Second)

		ctx, end := context.WithCancel(t.Context())
		kept := make(chan struct{})
		go func() { dir.KeepRoom(ctx); close(kept) }()
		time.Sleep(30 * time.Second)
		casts := w.files(".cast")
		if len(casts) != 1 {
			t.Fatalf("while it is sent: %q", casts)
		}
		w.recorder.net.goes(nil)
		w.eventually("the cast makes room", func() bool { return len(w.files("")) == 0 })
		for _, name := range []string{casts[0], strings.TrimSuffix(casts[0], ".cast") + ".json"} {
			if len(w.recorder.file(name)) == 0 {
				t.Errorf("%s has not arrived", name)
			}
		}
		end()
		<-kept
	})
}
