package session

import (
	"errors"
	"net/netip"
	"time"
)

// Info is what is known of a session when it begins.
type Info struct {
	ID          string         // 8 hexadecimal digits, unique on a node for all that matters
	Node        string         // the node's name; "": not known
	Start       time.Time      // with a monotonic reading: events are measured from it
	Verb        string         // "exec" or "attach", from the request's path; "" if it is neither
	Target      netip.AddrPort // the runtime's streaming server
	Protocol    string         // "spdy", "websocket", or "" if it is neither
	Subprotocol string         // as the server chose it, such as "v4.channel.k8s.io"
	Claims      Claims         // what the request's headers say; nil: nothing
}

// A Recorder keeps the events of one session. Its methods may be called by the
// goroutines of both directions at once.
type Recorder interface {
	// Record takes one event. It keeps no reference to e.Data.
	Record(e Event) error

	// Commit returns when everything that was recorded is kept as durably as
	// the operator asked for. It is called before the bytes that the events
	// were decoded from are forwarded.
	//
	// A disk can hang where nothing wakes its caller. If this one does for too
	// long, overdue, unless it is nil, is called in a goroutine of its own with
	// what there is to say of it. Commit then returns [ErrOverdue], whenever it
	// does, to a caller whose work goes on elsewhere.
	Commit(overdue func(error)) error

	// Close finishes the recording. It is called once, after the last event.
	Close(end End) error
}

// ErrOverdue tells who called [Recorder.Commit] that another goroutine has
// taken its place, and all that belongs to it: it ends, and touches nothing.
var ErrOverdue = errors.New("another goroutine has gone on with the session")

// An End says how a session ended.
type End struct {
	At     time.Duration // since Info.Start
	Reason EndReason
	Detail string // one sentence, if there is more to say
}

// An EndReason is one of a few words that summaries, logs and metrics share.
type EndReason string

// The ways a session can end.
const (
	EndCompleted   EndReason = "completed"     // the runtime reported the outcome and closed
	EndClient      EndReason = "client-closed" // the client went away first
	EndTarget      EndReason = "target-closed" // the runtime went away without an outcome
	EndByUs        EndReason = "ended"         // exectape ended it, and told the client why
	EndInterrupted EndReason = "interrupted"   // exectape itself went away; found at its next start
	EndRefused     EndReason = "refused"       // it did not begin, because it could not be recorded; it has no cast
	EndUnrecorded  EndReason = "unrecorded"    // how it ended was not seen; it has no cast
)
