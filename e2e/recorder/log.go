package recorder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"exectape/e2e/transcript"
)

// A Line of the log, by the names of its fields.
type Line map[string]any

// Text returns a field as text, whatever it is, and "" for one that isn't there.
func (l Line) Text(field string) string {
	if v, ok := l[field]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// A Log keeps what the recorder logs. What is no JSON, such as a report of the
// race detector, is only kept as text.
type Log struct {
	all transcript.Transcript

	mu    sync.Mutex // guards all below
	read  int        // how much of the text is in lines
	lines []Line     // those that no Next has returned
}

// String returns all that was logged.
func (l *Log) String() string { return string(l.all.Bytes()) }

// Next waits for a line with message that no Next has returned before.
func (l *Log) Next(ctx context.Context, message string) (next Line, err error) {
	err = l.all.Await(ctx, func(text []byte) bool {
		next = l.take(text, message)
		return next != nil
	})
	if err != nil {
		return nil, fmt.Errorf("no line of the log says %q: %w", message, err)
	}
	return next, nil
}

// Count returns how many lines with message are there that no Next has returned.
func (l *Log) Count(message string) (n int) {
	text := l.all.Bytes()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parse(text)
	for _, line := range l.lines {
		if line["msg"] == message {
			n++
		}
	}
	return n
}

func (l *Log) take(text []byte, message string) (line Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parse(text)
	i := slices.IndexFunc(l.lines, func(line Line) bool { return line["msg"] == message })
	if i < 0 {
		return nil
	}
	line = l.lines[i]
	l.lines = slices.Delete(l.lines, i, i+1)
	return line
}

// parse moves the complete lines that are new in text to lines.
func (l *Log) parse(text []byte) {
	end := bytes.LastIndexByte(text, '\n') + 1
	if end <= l.read {
		return
	}
	for part := range bytes.Lines(text[l.read:end]) {
		var line Line
		if json.Unmarshal(part, &line) == nil {
			l.lines = append(l.lines, line)
		}
	}
	l.read = end
}
