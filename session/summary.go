package session

import (
	"net/netip"
	"time"
)

// A Summary is what there is to say about a finished session, as JSON beside
// its cast and as a line of "exectape ls --json".
type Summary struct {
	ID          string         `json:"id"`
	Node        string         `json:"node,omitempty"` // not there: not known
	Start       time.Time      `json:"start"`
	End         time.Time      `json:"end,omitzero"` // not there: it goes on
	Verb        string         `json:"verb"`
	Protocol    string         `json:"protocol"`
	Subprotocol string         `json:"subprotocol"`
	Target      netip.AddrPort `json:"target"`
	TTY         *bool          `json:"tty"` // null: not to be seen on the wire
	Streams     Streams        `json:"streams"`
	ExitCode    *int           `json:"exit_code"` // null: none was reported
	EndReason   EndReason      `json:"end_reason"`
	EndDetail   string         `json:"end_detail,omitempty"`
	Identity    Identity       `json:"identity,omitzero"` // not there: not known
	Claims      Claims         `json:"claims,omitempty"`
	Peer        *Peer          `json:"peer,omitempty"` // not there: not known
	Gaps        []Loss         `json:"gaps"`
	SHA256      string         `json:"sha256,omitempty"` // of the finished cast, as sha256sum prints it
}

// Streams has the byte count of each stream. A nil Count is a stream that the
// session did not have, as far as could be seen, or of which nothing is kept.
type Streams struct {
	Stdin  *Count `json:"stdin,omitempty"`
	Stdout *Count `json:"stdout,omitempty"`
	Stderr *Count `json:"stderr,omitempty"`
}

// A Count is how much of a stream passed.
type Count struct {
	Bytes int64 `json:"bytes"`
}
