package session

import "time"

// ending is a session that exectape ends: it waits for a place to say so.
type ending struct {
	sentence string
	words    []byte    // what is left to say of the farewell
	said     bool      // the farewell was handed to Read, or given up
	told     bool      // it was not given up
	giveUp   time.Time // no frame's boundary is waited for beyond this
}

// boundaryWait is how long an ending session waits for the frame that is being
// sent to be complete. A farewell inside a frame would be taken for its data.
const boundaryWait = time.Second

// End ends the session: at the next boundary between the target's frames Read
// returns a farewell that tells the client why, so that no script takes the cut
// for success, and then io.EOF. What the client still sends is dropped. End
// returns at once; the connections are closed by their owner.
func (c *Conn) End(sentence string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(sentence)
}

func (c *Conn) end(sentence string) {
	if c.ending == nil {
		c.ending = &ending{sentence: sentence, giveUp: time.Now().Add(boundaryWait)}
	}
	c.wake()
}

// wake ends the wait for a target that has nothing to say.
func (c *Conn) wake() { _ = c.Duplex.SetReadDeadline(time.Now()) }

// leave tells Read what to do in a session that is ending: read at most room
// bytes, or say words, or (over, and no words) return io.EOF.
func (c *Conn) leave(size int) (room int, words []byte, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.ending
	if e == nil {
		return size, nil, false
	}
	if e.said {
		return 0, e.words, true
	}
	// What may not be handed on can't bring the client to a boundary.
	if !c.clean && c.failure(FromServer) == "" && c.broken[FromServer] == nil && time.Now().Before(e.giveUp) {
		_ = c.Duplex.SetReadDeadline(e.giveUp)
		return min(size, c.dec.Pending(FromServer)), nil, false
	}
	e.said = true
	if c.clean {
		e.words = c.dec.Farewell(e.sentence)
	}
	e.told = len(e.words) > 0
	return 0, e.words, true
}

// say moves words into p.
func (c *Conn) say(p, words []byte) int {
	n := copy(p, words)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending.words = words[n:]
	return n
}

// interrupted reports whether the session was ended while Read waited for the
// target, which may be gone: then no boundary can come any more.
func (c *Conn) interrupted(gone bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		return false
	}
	if gone {
		c.ending.giveUp = time.Time{}
	}
	return true
}
