package session

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Outcome reads an error stream, on which the runtime says how a session
// ended: from v4.channel.k8s.io on a JSON status, before that plain text, and
// only on failure.
type Outcome struct {
	Plain bool // the subprotocol is older than v4
	text  []byte
	told  bool
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

// Feed takes the next bytes of the error stream. It returns the outcome when
// it is known, or known better, and otherwise nil. It reports false for bytes
// that it has no room for or that follow a complete status.
func (o *Outcome) Feed(p []byte) (exit *Exit, ok bool) {
	if o.told || len(o.text)+len(p) > maxOutcome {
		return nil, len(p) == 0
	}
	o.text = append(o.text, p...)
	if o.Plain {
		return &Exit{Code: NoCode, Message: string(o.text)}, true
	}
	if !bytes.HasSuffix(bytes.TrimRight(o.text, " \t\r\n"), []byte("}")) {
		return nil, true
	}
	var s status
	if json.Unmarshal(o.text, &s) != nil {
		return nil, true
	}
	o.told, o.text = true, nil
	return s.exit(), true
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
	if o.Plain {
		return []byte(sentence)
	}
	// A struct of strings and numbers always marshals.
	document, _ := json.Marshal(status{Status: "Failure", Message: sentence, Reason: "InternalError", Code: 500})
	return document
}
