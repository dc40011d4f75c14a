package websocket

// message is the one that is being read in one direction. Its first byte names
// its channel, and the rest is for that.
type message struct {
	to      channels
	named   bool // its channel has come
	channel byte
	known   bool  // the channel is: else nothing is decoded
	base64  *text // nil in a binary subprotocol
}

// channels are told what a message says. Slices are valid only during the call.
type channels interface {
	// frame begins a data frame that is not empty. name is the message's first
	// byte, or nothing in the frames behind the one that had it. If channel is
	// unknown, what is sent on it is handed on as it is.
	frame(channel byte, h header, name []byte) (known bool)

	// data is the next part of what was sent on channel.
	data(channel byte, p []byte)

	// spoilt is text that was sent on channel and is no base64.
	spoilt(channel byte, text []byte)

	// end is called at the message's end. It is not whole if any of it was
	// spoilt.
	end(channel byte, whole bool)
}

// frame is at the beginning of a frame's payload, of which p, which is not
// empty, has come. It returns what is behind the channel's name.
func (m *message) frame(h header, p []byte) []byte {
	name := p[:0]
	if !m.named {
		name, p = p[:1], p[1:]
		m.named, m.channel = true, name[0]
		if m.base64 != nil {
			m.channel -= '0' // and wraps, as the server's does
		}
	}
	m.known = m.to.frame(m.channel, h, name)
	return p
}

// part is what comes next of the message.
func (m *message) part(p []byte) {
	if m.base64 == nil || !m.known {
		if len(p) > 0 {
			m.to.data(m.channel, p)
		}
		return
	}
	for len(p) > 0 {
		n, data, spoilt := m.base64.decode(p)
		p = p[n:]
		m.tell(data, spoilt)
	}
}

func (m *message) tell(data, spoilt []byte) {
	if len(data) > 0 {
		m.to.data(m.channel, data)
	}
	if len(spoilt) > 0 {
		m.to.spoilt(m.channel, spoilt)
	}
}

// end is the message's.
func (m *message) end() {
	if !m.named {
		return
	}
	whole := true
	if m.base64 != nil {
		var spoilt []byte
		spoilt, whole = m.base64.end()
		m.tell(nil, spoilt)
	}
	m.to.end(m.channel, whole)
	m.named = false
}
