package cast_test

import (
	"bytes"
	"errors"
	"testing"

	"exectape/cast"
)

func TestATornLastLineIsToldApart(t *testing.T) {
	file := write(2, stories["two streams"])
	d, err := cast.NewDecoder(bytes.NewReader(file[:len(file)-1]))
	for err == nil {
		_, err = d.Next()
	}
	if !errors.Is(err, cast.ErrTorn) {
		t.Errorf("error = %v, want %v", err, cast.ErrTorn)
	}
	if want := int64(bytes.LastIndexByte(file[:len(file)-1], '\n') + 1); d.Offset() != want {
		t.Errorf("offset = %d, want %d", d.Offset(), want)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range stories {
		f.Add(write(3, s))
	}
	f.Add([]byte("{\"version\": 2, \"width\": 1}\n[1.5, \"o\", \"x\"]\n# a comment\n[1e99, \"r\", \"1x1\"]\n[0, \"o\"]\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		d, err := cast.NewDecoder(bytes.NewReader(file))
		var exact cast.Exact
		for err == nil {
			var ev cast.Event
			if ev, err = d.Next(); err == nil {
				_, _, err = exact.Output(ev)
			}
			if err == nil {
				_, err = exact.Input(ev)
			}
		}
		if d != nil && d.Offset() > int64(len(file)) {
			t.Errorf("offset %d of %d", d.Offset(), len(file))
		}
	})
}
