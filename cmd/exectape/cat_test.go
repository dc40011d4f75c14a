package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exectape/session"
	"exectape/sink"
)

func TestCatDoesNotNeedTheHeaderOfALiveCast(t *testing.T) {
	dir := t.TempDir()
	say, end := live(t, dir, "00000001")
	defer end()
	say(session.Stdout, "caf\xc3")
	names, err := sink.Names(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, names[0]), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(bytes.Repeat([]byte{0}, 100), 20); err != nil { // it is just being written
		t.Fatal(err)
	}
	var out strings.Builder
	if err := runCat(t.Context(), config{Dir: dir}, []string{"00000001"}, &out); err != nil || out.String() != "caf\xc3" {
		t.Errorf("printed %q, %v", out.String(), err)
	}
}
