package cast_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"exectape/cast"
	"exectape/session"
)

func TestNoReaderOfOutputTakesWhatWasTypedForIt(t *testing.T) {
	for _, version := range []int{2, 3} {
		_, events := decoded(t, write(version, stories["typed"]))
		for begin := range events { // wherever it begins to read
			var exact cast.Exact
			for _, ev := range events[begin:] {
				_, output, err := exact.Output(ev)
				if err != nil {
					t.Fatal(err)
				}
				if len(output) > 0 && !slices.Contains([]string{"o", "b", "c"}, ev.Code) {
					t.Errorf("v%d: event %q is output %q", version, ev.Code, output)
				}
			}
		}
	}
}

func TestInputThatIsCountedIsInTheHeaderAtTheEndAndNowhereElse(t *testing.T) {
	e := cast.NewEncoder(2, info)
	file := e.Begin(nil)
	e.CountInput(0)
	e.CountInput(len("secret"))
	file, _ = e.Append(file, resized(80, 24))
	if n := e.Header().Facts.StdinBytes; n != nil {
		t.Errorf("the header of a live session says %d bytes, which is not the sum", *n)
	}
	e.CountInput(len("\n"))
	file = e.End(file, session.End{At: time.Second, Reason: session.EndCompleted})
	if n := e.Header().Facts.StdinBytes; n == nil || *n != 7 {
		t.Errorf("the header says %v bytes, want 7", n)
	}
	if !bytes.Contains(file, []byte(`\"stdin_bytes\":7,`)) {
		t.Error("the last line doesn't say what the header says")
	}
}
