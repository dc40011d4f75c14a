package session

// A Peer is the process at the other end of a session's connection, as the
// kernel tells: who opened it on this node, which is not the user.
type Peer struct {
	UID        uint32 `json:"uid"`                  // whose the socket is
	PID        int    `json:"pid,omitempty"`        // 0: it is not known which process that is; so nor is what follows
	Name       string `json:"name,omitempty"`       // as ps(1) has it; a process can choose it
	Executable string `json:"executable,omitempty"` // its path, in the file system that the process sees
}

// Meet has known tell who opened the session's connection, once if at all. It is
// called before anything passes.
func (c *Conn) Meet(known <-chan Peer) { c.meeting = known }

// meet records who opened the connection, if that is known now.
func (c *Conn) meet() {
	select {
	case p := <-c.meeting:
		c.meeting, c.peer = nil, &p
		c.note(c.rec.Record(Event{Kind: Met, At: c.now, Peer: c.peer}))
	default:
	}
}
