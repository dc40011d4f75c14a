package sink

import (
	"errors"

	"exectape/session"
)

// limitReason is why a cast that is as long as it may get lacks what came
// behind.
const limitReason = "session limit"

var errLimit = errors.New("its cast is as long as that of one session may get, see EXECTAPE_SESSION_MAX_BYTES")

// over reports whether e comes behind the end of a cast that is as long as it
// may get. From the first that does on, only what a session begins and ends
// with, and whose it is, is recorded: that is little. Until the end, when the gap
// can say how much is missing, the header says that something is.
func (r *Recording) over(e session.Event) bool {
	switch e.Kind {
	case session.Opened, session.Status, session.Identified, session.Met:
		return false
	}
	if limit := r.dir.options.SessionMax; !r.cut && limit > 0 && r.offset+int64(r.flying+len(r.lines)+len(e.Data)) > limit {
		r.cut, r.slot = true, true
		r.lines = r.enc.Note(r.into(), e.At, limitReason+": what came behind is not recorded")
	}
	return r.cut
}
