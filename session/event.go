package session

import "time"

// A Kind says what an [Event] reports and which of its fields are set.
type Kind uint8

// The kinds of events.
const (
	Opened     Kind = iota + 1 // the client opened Stream
	Output                     // the container wrote Data to Stream, stdout or stderr
	Input                      // the client sent Data to stdin
	Resize                     // the user's terminal has Size now
	Status                     // the session's outcome is Exit
	Raw                        // Data passed From one side and could not be decoded
	Gap                        // Lost is known to be missing
	Identified                 // Identity is known now, or known better
	Accepted                   // the target answered that it takes Stream; for a Tracer, not recorded
	Met                        // Peer is known now
)

// An Event is one thing that happened in a session.
type Event struct {
	Kind   Kind
	At     time.Duration // since Info.Start, monotonic
	Stream Stream        // Opened, Accepted, Output, Input
	From   Direction     // Raw
	Size   Size          // Resize
	Exit   *Exit         // Status
	Lost   *Loss         // Gap
	Data   []byte        // Output, Input, Raw: the caller's buffer, valid only during the call

	Identity *Identity // Identified; not changed afterwards
	Peer     *Peer     // Met; not changed afterwards
}

// A Size is a terminal's, in character cells.
type Size struct{ Cols, Rows uint16 }

// DefaultSize is what a session has until its client says otherwise.
var DefaultSize = Size{Cols: 80, Rows: 24}

// An Exit is a session's outcome as the runtime told it on the error stream.
type Exit struct {
	Code    int    // the process's exit code, or NoCode
	Reason  string // the status's reason, such as InternalError; empty after success
	Message string // what the user is shown; empty after success
}

// NoCode is the Code of an Exit whose process never ran or whose exit code is
// not known.
const NoCode = -1

// Withheld begins the reason of a Loss that somebody has asked for; the name of a
// stream follows.
const Withheld = "EXECTAPE_RECORD: "

// A Loss is what a recording is known to lack.
type Loss struct {
	Bytes  int64  `json:"bytes"`
	Reason string `json:"reason"`
}
