package sink_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"exectape/sink"

	"go.uber.org/zap"
)

func TestOneInstanceAtATimeKeepsHouse(t *testing.T) {
	path := t.TempDir()
	var instances [2]*sink.Dir
	for i := range instances {
		d, err := sink.OpenDir(path, sink.Options{Version: 2}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		instances[i] = d
	}
	var younger error
	err := instances[0].Housekeeping(t.Context(), func(context.Context) error {
		given, giveUp := context.WithCancel(t.Context())
		giveUp()
		younger = instances[1].Housekeeping(given, func(context.Context) error { return nil })
		return nil
	})
	if err != nil || !errors.Is(younger, context.Canceled) {
		t.Errorf("the elder answered %v, the younger meanwhile %v; want the younger to wait", err, younger)
	}
	called := errors.New("called")
	if err := instances[1].Housekeeping(t.Context(), func(context.Context) error { return called }); !errors.Is(err, called) {
		t.Errorf("with the elder gone the younger answered %v, want what its work did", err)
	}
}

func TestWhatIsAcknowledgedOnceIsAcknowledgedForEver(t *testing.T) {
	path := t.TempDir()
	must(t, os.WriteFile(filepath.Join(path, "a_cast.cast"), nil, 0o600))
	for range 2 {
		d, err := sink.OpenDir(path, sink.Options{Version: 2}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Acknowledge("a_cast"); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(filepath.Join(path, "a_cast.acknowledged")); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
