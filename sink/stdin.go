package sink

import (
	"fmt"

	"exectape/session"
)

// A StdinMode says what is kept of what clients send to stdin. Passwords are
// typed there, and no digest is ever made of them: one would tell whether a
// guess is right.
//
// It says nothing of a client's direction that can't be decoded, which is kept
// whole. Nobody can tell there what was typed, and it could hide the opening of
// the very stream by which what follows is to be understood.
type StdinMode uint8

// The modes. StdinOff keeps nothing, StdinCount how many bytes there were, and
// StdinFull every byte.
const (
	StdinOff StdinMode = iota
	StdinCount
	StdinFull
)

var stdinModes = [...]string{StdinOff: "off", StdinCount: "count", StdinFull: "full"}

// String returns "off", "count" or "full".
func (m StdinMode) String() string { return stdinModes[m] }

// UnmarshalText reads what String prints.
func (m *StdinMode) UnmarshalText(text []byte) error {
	for mode, name := range stdinModes {
		if string(text) == name {
			*m = StdinMode(mode)
			return nil
		}
	}
	return fmt.Errorf("%q is no way to record stdin; write off, count or full", text)
}

// aboutStdin reports whether e says something of stdin.
func aboutStdin(e session.Event) bool {
	return e.Kind == session.Input || e.Kind == session.Opened && e.Stream == session.Stdin
}

// countStdin takes an event of stdin that is not recorded.
func (r *Recording) countStdin(e session.Event) {
	if r.dir.options.Stdin == StdinOff {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enc.CountInput(len(e.Data))
}
