package sink

import (
	"fmt"
	"time"
)

// A Durability says how well kept a byte is when it is handed on.
type Durability uint8

// The durabilities. Of what was Written, no death of this process loses a byte;
// of what was Synced, no death of the machine does. What is Buffered is written
// within Options.FlushInterval.
const (
	Written Durability = iota
	Buffered
	Synced
)

var durabilities = [...]string{Written: "written", Buffered: "buffered", Synced: "synced"}

// String returns "written", "buffered" or "synced".
func (d Durability) String() string { return durabilities[d] }

// UnmarshalText reads what String prints.
func (d *Durability) UnmarshalText(text []byte) error {
	for durability, name := range durabilities {
		if string(text) == name {
			*d = Durability(durability)
			return nil
		}
	}
	return fmt.Errorf("%q is no durability; write buffered, written or synced", text)
}

// flush writes what is buffered, of all recordings, until the directory is
// closed. It may hang like any other writer.
func (d *Dir) flush() {
	tick := time.NewTicker(d.options.FlushInterval)
	defer tick.Stop()
	var all []*Recording
	for d.sleep(tick.C) {
		all = d.recordings(all)
		for _, r := range all {
			r.flush()
		}
	}
}

func (r *Recording) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && !r.writing && r.pending() {
		_ = r.fly(nil) // its next Record says so
	}
}
