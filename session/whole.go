package session

// maxHeld is how long a frame may be that is handed on only when it is whole.
// Runtimes make them of 32 KiB and a header.
const maxHeld = 40 << 10

// whole keeps the end of p back, n bytes that may be handed on, if that is the
// beginning of a frame, and returns how much there is in p now to be handed on.
// So a session that is ended because it can't be recorded is always at a frame's
// boundary, where its client can be told. Without that policy nothing is kept
// back: its sessions go on.
func (c *Conn) whole(p []byte, n int) int {
	if c.policy != FailClosed {
		return n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := c.dec.Begun(FromServer)
	if begun == 0 && len(c.partial) == 0 {
		return n
	}
	if c.room == nil {
		c.room = make([]byte, 0, maxHeld+len(p))
	}
	all := append(append(c.room, c.partial...), p[:n]...) // nothing is ready: it was given before
	end := len(all) - begun
	if end < 0 || end == 0 && len(all) > maxHeld { // its beginning was handed on, or it is too long
		end = len(all)
	} else {
		c.clean = true
	}
	c.ready, c.partial = all[:end:end], all[end:]
	return c.give(p)
}

// give moves what is ready to be handed on into p.
func (c *Conn) give(p []byte) (n int) {
	n = copy(p, c.ready)
	c.ready = c.ready[n:]
	if len(c.ready)+len(c.partial) == 0 {
		c.room = nil
	}
	return n
}

// release hands on the beginning of a frame whose rest has not come, and reports
// whether there is one.
func (c *Conn) release() bool {
	c.ready, c.partial = c.partial, nil
	if len(c.ready) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clean = false
	return true
}
