package session

import (
	"encoding/json"
	"strconv"
)

// Outcome reads an error stream, on which the runtime says how a session
// ended: from v4.channel.k8s.io on a JSON status, before that plain text, and
// only on failure.
type Outcome struct {
	plain  bool // text, not a status
	text   []byte
	told   int  // how much of the text was emitted, if it is plain
	frames int  // in how many frames that was
	over   bool // the outcome is complete, or there is none
	object object
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

// maxFrames bounds in how many frames a plain text may come, because each makes
// the outcome known better. A runtime writes it in one.
const maxFrames = 4

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

// details have room for one cause, which is how many a runtime gives: an array's
// other elements are skipped, where a slice would grow.
type details struct {
	Causes [1]cause `json:"causes"`
}

type cause struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Tell takes the next bytes of the error stream and emits what they come to:
// a status as soon as it is complete; raw what follows it, what there is no
// room for, and what turns out to be no status.
func (o *Outcome) Tell(p []byte, emit func(Event)) {
	room := min(len(p), maxOutcome-len(o.text))
	switch {
	case o.over:
		room = 0
	case o.plain:
		o.text = append(o.text, p[:room]...)
	default:
		room = o.status(p[:room], emit)
	}
	if room < len(p) {
		emit(Event{Kind: Raw, From: FromServer, Data: p[room:]})
	}
}

// End is called where one of the error stream's frames ends, which is where the
// client gets it. Plain text has no other end: the outcome is all of it so far.
func (o *Outcome) End(emit func(Event)) {
	if !o.plain || o.told == len(o.text) {
		return
	}
	o.told = len(o.text)
	o.frames++
	emit(Event{Kind: Status, Exit: &Exit{Code: NoCode, Message: string(o.text)}})
	if o.frames == maxFrames {
		o.over, o.text, o.told = true, nil, 0
	}
}

// status gathers p up to where it is known whether it is a status, and returns
// how much that is.
func (o *Outcome) status(p []byte, emit func(Event)) (n int) {
	for _, c := range p {
		n++
		o.text = append(o.text, c)
		if !o.object.ends(c) {
			continue
		}
		var s status
		if json.Unmarshal(o.text, &s) == nil {
			emit(Event{Kind: Status, Exit: s.exit()})
		} else {
			emit(Event{Kind: Raw, From: FromServer, Data: o.text})
		}
		o.over, o.text = true, nil
		break
	}
	return n
}

// object finds the end of a JSON object by its braces. So a text that grows is
// parsed but once: a command line in a message can have many.
type object struct {
	depth   int
	quoted  bool // inside a string
	escaped bool // behind a backslash in it
}

// ends reports whether c is the object's last byte, or shows that there is none.
func (o *object) ends(c byte) bool {
	switch {
	case o.depth == 0 && c != '{':
		return c != ' ' && c != '\t' && c != '\r' && c != '\n'
	case o.escaped:
		o.escaped = false
	case c == '"':
		o.quoted = !o.quoted
	case o.quoted:
		o.escaped = c == '\\'
	case c == '{':
		o.depth++
	case c == '}':
		o.depth--
		return o.depth == 0
	}
	return false
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
