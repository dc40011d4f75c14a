package session

import "fmt"

// A Policy says what becomes of a session that can't be recorded as it should
// be: its sink fails, or its bytes can't be decoded.
type Policy uint8

// The policies. FailOpen lets the session go on, and notes what is missing;
// FailClosed ends it, or does not let it begin.
const (
	FailOpen Policy = iota
	FailClosed
)

// String returns "open" or "closed".
func (p Policy) String() string {
	if p == FailClosed {
		return "closed"
	}
	return "open"
}

// UnmarshalText reads what String prints.
func (p *Policy) UnmarshalText(text []byte) error {
	for _, known := range []Policy{FailOpen, FailClosed} {
		if string(text) == known.String() {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("%q is no policy; write open or closed", text)
}
