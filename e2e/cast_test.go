package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
)

// A tape is a cast as anybody's player would read it. It is read here by a
// reader of our own, so that exectape's own can't agree with its writer on
// something that isn't asciicast.
type tape struct {
	version int
	size    string // COLSxROWS
	events  []tapeEvent
}

type tapeEvent struct {
	code string
	data string
}

// tape reads a recording of either version.
func (r recording) tape() tape {
	r.exectape.t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		r.exectape.t.Fatal(err)
	}
	tape, err := readTape(text)
	if err != nil {
		r.exectape.t.Fatalf("%s: %v", r.file, err)
	}
	return tape
}

func readTape(text []byte) (read tape, err error) {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	var header struct {
		Version       int
		Width, Height int // version 2
		Term          struct{ Cols, Rows int }
	}
	if err := json.Unmarshal(first, &header); err != nil {
		return read, fmt.Errorf("its header: %w", err)
	}
	read.version = header.Version
	read.size = fmt.Sprintf("%dx%d", header.Width+header.Term.Cols, header.Height+header.Term.Rows)
	for line := range bytes.Lines(rest) {
		var at float64
		var e tapeEvent
		if err := json.Unmarshal(line, &[]any{&at, &e.code, &e.data}); err != nil {
			return read, fmt.Errorf("its line %q: %w", line, err)
		}
		read.events = append(read.events, e)
	}
	return read, nil
}

// all returns the data of the events that have a code.
func (t tape) all(code string) (data []string) {
	for _, e := range t.events {
		if e.code == code {
			data = append(data, e.data)
		}
	}
	return data
}

// output returns the very bytes of stdout and stderr. What a carry says is said
// again by the next event of its stream.
func (t tape) output() (stdout, stderr []byte) {
	streams := map[string][]byte{}
	carried := map[string]int{}
	name := "stdout"
	for _, e := range t.events {
		data := []byte(e.data)
		switch e.code {
		case "s":
			name = e.data
			continue
		case "b", "c":
			data, _ = base64.StdEncoding.DecodeString(e.data) // else they are missing
		case "o":
		default:
			continue
		}
		streams[name] = append(streams[name][:len(streams[name])-carried[name]], data...)
		carried[name] = 0
		if e.code == "c" {
			carried[name] = len(data)
		}
	}
	return streams["stdout"], streams["stderr"]
}
