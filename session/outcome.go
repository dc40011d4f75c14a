package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// Outcome reads an error stream, on which the runtime says how a session
// ended: from v4.channel.k8s.io on a JSON status, before that plain text, and
// only on failure.
type Outcome struct {
	plain bool // text, not a status
	text  []byte
	over  bool // the status is complete, or there is none

	parses int // how often the text was parsed
}

// plainSubprotocols are those older than v4; "" is the oldest.
var plainSubprotocols = map[string]bool{
	"":                      true,
	"channel.k8s.io":        true,
	"base64.channel.k8s.io": true,
	"v2.channel.k8s.io":     true,
	"v3.channel.k8s.io":     true,
}

// NewOutcome returns the Outcome of a session whose server chose subprotocol.
func NewOutcome(subprotocol string) Outcome {
	return Outcome{plain: plainSubprotocols[subprotocol]}
}

// maxOutcome bounds what is kept of an error stream. A status takes about 200
// bytes; a runtime's error can quote a whole command line.
const maxOutcome = 64 << 10

// status is the part of metav1.Status that the runtime fills in
// (k8s.io/cri-streaming, remotecommand/errors.go).
type status struct {
	Metadata struct{} `json:"metadata"`
	Status   string   `json:"status"`
	Message  string   `json:"message,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Details  *details `json:"details,omitempty"`
	Code     int      `json:"code,omitempty"`
}

type details struct {
	Causes []cause `json:"causes,omitempty"`
}

type cause struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Tell takes the next bytes of the error stream and emits what they come to:
// the outcome, and raw what is not part of it.
func (o *Outcome) Tell(p []byte, emit func(Event)) {
	exit, rest := o.Feed(p)
	if exit != nil {
		emit(Event{Kind: Status, Exit: exit})
	}
	if len(rest) > 0 {
		emit(Event{Kind: Raw, From: FromServer, Data: rest})
	}
}

// Feed takes the next bytes of the error stream. It returns the outcome when
// it is known, or known better, and otherwise nil; rest is what it has no room
// for, what follows a complete status, or what turns out to be none.
func (o *Outcome) Feed(p []byte) (exit *Exit, rest []byte) {
	if o.over {
		return nil, p
	}
	room := min(len(p), maxOutcome-len(o.text))
	for i, c := range p[:room] {
		o.text = append(o.text, c)
		if o.plain || c != '}' && o.begins() {
			continue
		}
		exit, more := o.parse()
		if !more {
			rest = p[i+1:]
			if exit == nil {
				rest = append(o.text, rest...)
			}
			o.over, o.text = true, nil
			return exit, rest
		}
	}
	if o.plain && room > 0 {
		exit = &Exit{Code: NoCode, Message: string(o.text)}
	}
	return exit, p[room:]
}

// begins reports whether the text can be the beginning of an object.
func (o *Outcome) begins() bool {
	begin := bytes.TrimLeft(o.text, " \t\r\n")
	return len(begin) == 0 || begin[0] == '{'
}

// maxParses bounds how often a text is parsed. It is at each closing brace, of
// which a command line in a message can have many.
const maxParses = 1024

// parse returns the outcome if the text is a status, and whether it can be one
// with more behind it.
func (o *Outcome) parse() (exit *Exit, more bool) {
	var s status
	o.parses++
	err := json.NewDecoder(bytes.NewReader(o.text)).Decode(&s)
	switch {
	case !o.begins() || o.parses == maxParses:
		return nil, false
	case err == nil:
		return s.exit(), false
	}
	return nil, errors.Is(err, io.ErrUnexpectedEOF)
}

func (s *status) exit() *Exit {
	if s.Status == "Success" {
		return &Exit{}
	}
	exit := &Exit{Code: NoCode, Reason: s.Reason, Message: s.Message}
	if s.Reason != "NonZeroExitCode" || s.Details == nil {
		return exit
	}
	for _, c := range s.Details.Causes {
		if code, err := strconv.Atoi(c.Message); c.Reason == "ExitCode" && err == nil {
			exit.Code = code
		}
	}
	return exit
}

// Failure returns the document that tells a client that its session failed,
// in the words of sentence.
func (o *Outcome) Failure(sentence string) []byte {
	if o.plain {
		return []byte(sentence)
	}
	// A struct of strings and numbers always marshals.
	document, _ := json.Marshal(status{Status: "Failure", Message: sentence, Reason: "InternalError", Code: 500})
	return document
}
