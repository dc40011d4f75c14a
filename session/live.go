package session

// Live returns what there is to say of the session by now, as its [Summary]
// will. Of what the client sends it tells nothing, not even how much: whether
// that may be kept is the Recorder's business.
func (c *Conn) Live() Summary {
	s := Summary{
		ID: c.info.ID, Node: c.info.Node, Start: c.info.Start.UTC(), Verb: c.info.Verb, Protocol: c.info.Protocol,
		Subprotocol: c.info.Subprotocol, Target: c.info.Target, Claims: c.info.Claims,
		Gaps: []Loss{},
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Identity, s.Peer = c.whose, c.peer
	s.TTY, s.Streams = c.tty, Streams{Stdout: c.stdout.known(), Stderr: c.stderr.known()}
	if c.exit != nil && c.exit.Code != NoCode {
		code := c.exit.Code
		s.ExitCode = &code
	}
	return s
}

// A passed is how much of a stream has passed, if the session has it.
type passed struct {
	opened bool
	bytes  int64
}

func (p *passed) see(e Event) {
	p.opened = true
	p.bytes += int64(len(e.Data))
}

func (p passed) known() *Count {
	if !p.opened {
		return nil
	}
	return &Count{Bytes: p.bytes}
}

// tally takes what Live tells from an event.
func (c *Conn) tally(e Event) {
	switch {
	case e.Kind == Opened && c.tty == nil && (e.Stream == ResizeStream || e.Stream == Stderr):
		tty := e.Stream == ResizeStream
		c.tty = &tty
	case e.Kind != Opened && e.Kind != Output:
		return
	}
	switch e.Stream {
	case Stdout:
		c.stdout.see(e)
	case Stderr:
		c.stderr.see(e)
	}
}
