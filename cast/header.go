package cast

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"exectape/session"
)

// SlotSize is the size of a header as we write it, its newline included. It is
// always the same, so that a header can be written over another.
const SlotSize = 4096

// A Header is the first line of a cast.
type Header struct {
	Version int // 2 or 3
	Size    session.Size
	Start   time.Time // to the second
	Facts   Facts
}

// Facts are what exectape adds to a header, under the key "exectape".
type Facts struct {
	ID          string            `json:"id,omitempty"`
	Node        string            `json:"node,omitempty"`
	Verb        string            `json:"verb,omitempty"`
	Protocol    string            `json:"protocol,omitempty"`
	Subprotocol string            `json:"subprotocol,omitempty"`
	Target      netip.AddrPort    `json:"target,omitzero"`
	TTY         *bool             `json:"tty,omitempty"`
	ExitCode    *int              `json:"exit_code,omitempty"`
	StdinBytes  *int64            `json:"stdin_bytes,omitempty"` // of input that was counted and not kept
	EndReason   session.EndReason `json:"end_reason,omitempty"`
	EndDetail   string            `json:"end_detail,omitempty"`
	Identity    session.Identity  `json:"identity,omitzero"`
	Claims      session.Claims    `json:"claims,omitempty"`
	Peer        *session.Peer     `json:"peer,omitempty"`
}

// headerJSON has the fields of both versions.
type headerJSON struct {
	Version    int         `json:"version"`
	Width      uint16      `json:"width,omitempty"`
	Height     uint16      `json:"height,omitempty"`
	Term       *term       `json:"term,omitempty"`
	Timestamp  int64       `json:"timestamp"`
	Command    string      `json:"command,omitempty"`
	Kubernetes *kubernetes `json:"kubernetes,omitempty"`
	Facts      Facts       `json:"exectape,omitzero"`
}

// kubernetes is spelt as those spell it who read such casts already. It is
// written for them only: all of it is in the facts, too.
type kubernetes struct {
	PodName     string
	Namespace   string
	Container   string
	SessionType string
}

type term struct {
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
}

// marshal returns the header in JSON. It is no MarshalJSON: what one returns is
// read once more by who calls it.
func (h *Header) marshal() []byte {
	who := h.Facts.Identity
	j := headerJSON{Version: h.Version, Timestamp: h.Start.Unix(), Command: strings.Join(who.Command, " "), Facts: h.Facts}
	if who.Pod != "" {
		j.Kubernetes = &kubernetes{who.Pod, who.Namespace, who.Container, h.Facts.Verb}
	}
	if h.Version == 3 {
		j.Term = &term{h.Size.Cols, h.Size.Rows}
	} else {
		j.Width, j.Height = h.Size.Cols, h.Size.Rows
	}
	b, err := json.Marshal(&j)
	if err != nil {
		panic("cast: a header always marshals: " + err.Error())
	}
	return b
}

// UnmarshalJSON implements [json.Unmarshaler].
func (h *Header) UnmarshalJSON(b []byte) error {
	var j headerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*h = Header{Version: j.Version, Size: session.Size{Cols: j.Width, Rows: j.Height}, Start: time.Unix(j.Timestamp, 0).UTC(), Facts: j.Facts}
	if j.Term != nil {
		h.Size = session.Size(*j.Term)
	}
	return nil
}

// Slot returns the header as it stands in a file: SlotSize bytes.
func (h Header) Slot() []byte { return appendSlot(nil, h.compact()) }

// blank is what a header is padded with.
var blank = bytes.Repeat([]byte{' '}, SlotSize)

// appendSlot appends a header, which is shorter than its slot.
func appendSlot(dst, header []byte) []byte {
	dst = append(append(dst, header...), blank[len(header)+1:]...)
	return append(dst, '\n')
}
