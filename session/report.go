package session

import "time"

// A Report is what a Conn knows of its session once nothing passes any more.
type Report struct {
	End         End
	Exit        *Exit    // nil: the runtime reported none
	RecordError error    // the first error of the Recorder
	Identity    Identity // whose session it was, as far as is known
	Untold      bool     // it was ended by us, and its client could not be told why
}

// Report says how the session went. It is called once, when both directions have
// ended.
func (c *Conn) Report() Report {
	c.tracer.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = time.Since(c.info.Start)
	c.meet()
	c.meeting = nil // nothing is recorded after this
	c.identify()
	r := Report{Identity: c.whose, End: End{At: c.now, Reason: c.first}, Exit: c.exit, RecordError: c.recErr}
	switch {
	case c.ending != nil:
		r.End.Reason, r.End.Detail = EndByUs, c.ending.sentence
		if !c.ending.told {
			r.Untold = true
			r.End.Detail += " (the client could not be told)"
		}
	case c.exit != nil:
		r.End.Reason, r.End.Detail = EndCompleted, c.exit.Message
	case c.first == "":
		r.End.Reason = EndTarget
	}
	return r
}
