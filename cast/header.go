package cast

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

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
	Verb        string            `json:"verb,omitempty"`
	Protocol    string            `json:"protocol,omitempty"`
	Subprotocol string            `json:"subprotocol,omitempty"`
	Target      netip.AddrPort    `json:"target,omitzero"`
	TTY         *bool             `json:"tty,omitempty"`
	ExitCode    *int              `json:"exit_code,omitempty"`
	StdinBytes  *int64            `json:"stdin_bytes,omitempty"` // of input that was counted and not kept
	EndReason   session.EndReason `json:"end_reason,omitempty"`
	EndDetail   string            `json:"end_detail,omitempty"`
}

// headerJSON has the fields of both versions.
type headerJSON struct {
	Version   int    `json:"version"`
	Width     uint16 `json:"width,omitempty"`
	Height    uint16 `json:"height,omitempty"`
	Term      *term  `json:"term,omitempty"`
	Timestamp int64  `json:"timestamp"`
	Facts     Facts  `json:"exectape,omitzero"`
}

type term struct {
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
}

// MarshalJSON implements [json.Marshaler].
func (h Header) MarshalJSON() ([]byte, error) {
	j := headerJSON{Version: h.Version, Timestamp: h.Start.Unix(), Facts: h.Facts}
	if h.Version == 3 {
		j.Term = &term{h.Size.Cols, h.Size.Rows}
	} else {
		j.Width, j.Height = h.Size.Cols, h.Size.Rows
	}
	return json.Marshal(j)
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
func (h Header) Slot() []byte {
	slot := append(h.compact(), bytes.Repeat([]byte{' '}, SlotSize)...)[:SlotSize]
	slot[SlotSize-1] = '\n'
	return slot
}

// compact returns the header without padding. What a runtime said can be long;
// the longest text is cut until the header fits its slot.
func (h Header) compact() []byte {
	for {
		b, err := json.Marshal(h)
		if err != nil {
			panic("cast: a header always marshals: " + err.Error())
		}
		if len(b) < SlotSize {
			return b
		}
		longest := slices.MaxFunc(h.Facts.texts(), func(a, b *string) int { return len(*a) - len(*b) })
		if *longest == "" {
			h.Facts.Target = netip.AddrPort{} // whose zone can be any text
		}
		*longest = cutText(*longest, len(*longest)/2)
	}
}

func (f *Facts) texts() []*string {
	return []*string{&f.ID, &f.Verb, &f.Protocol, &f.Subprotocol, (*string)(&f.EndReason), &f.EndDetail}
}

// cutText returns at most n bytes of s, and no part of a rune.
func cutText(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
