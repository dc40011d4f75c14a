// Package hand plays both ends of a session with frames that were made
// beforehand: the kubelet's and the runtime's own code would be busier than any
// proxy between them.
//
// What is on the wire is what client-go and k8s.io/cri-streaming put there,
// stream by stream and answer by answer, but for one thing: a frame is written
// at once, where spdystream takes three writes for it.
package hand

import (
	"bytes"
	"encoding/binary"

	"exectape/session/sessiontest/hostile"
)

// A Protocol is what a session is upgraded to.
type Protocol string

// The protocols.
const (
	SPDY      Protocol = "spdy"
	WebSocket Protocol = "websocket"
)

// A stream is numbered as the channels of WebSocket are.
type stream byte

const (
	stdin stream = iota
	stdout
	stderr
	errorStream
	none
)

// ids are the streams' over SPDY, in the order in which they are opened.
var ids = []struct {
	id uint32
	is stream
}{{1, errorStream}, {3, stdin}, {5, stdout}, {7, stderr}}

func idOf(s stream) uint32 {
	for _, o := range ids {
		if o.is == s {
			return o.id
		}
	}
	return 0
}

func streamOf(id uint32) stream {
	for _, o := range ids {
		if o.id == id {
			return o.is
		}
	}
	return none
}

var opens, replies = openings()

// openings are the frames that open the streams, and the answers to them. The
// header blocks of one direction depend on each other, and are always the same.
func openings() (opens, replies [][]byte) {
	var client, server hostile.Blocks
	for _, o := range ids {
		opens = append(opens, client.Open(o.id, names[o.is]))
		replies = append(replies, hostile.WithBlock(hostile.SynReply, o.id, server.Squeeze(hostile.Pairs())))
	}
	return opens, replies
}

var names = map[stream]string{stdin: "stdin", stdout: "stdout", stderr: "stderr", errorStream: "error"}

// fromServer makes the frame in which a server sends data on a stream.
func (p Protocol) fromServer(s stream, data []byte) []byte {
	if p == SPDY {
		return hostile.Data(idOf(s), 0, data)
	}
	return hostile.Unmasked(hostile.Fin|hostile.Binary, append([]byte{byte(s)}, data...))
}

// fromClient makes the frame in which a client sends data on a stream.
func (p Protocol) fromClient(s stream, data []byte) []byte {
	if p == SPDY {
		return hostile.Data(idOf(s), 0, data)
	}
	return hostile.Masked(hostile.Fin|hostile.Binary, append([]byte{byte(s)}, data...))
}

// farewell is what a server ends a session with whose command succeeded.
func (p Protocol) farewell() (all []byte) {
	all = p.fromServer(errorStream, []byte(`{"metadata":{},"status":"Success"}`))
	if p == WebSocket {
		return append(all, hostile.Unmasked(hostile.Fin|hostile.Close, []byte{1000 >> 8, 1000 & 0xff})...)
	}
	for _, o := range ids {
		all = append(all, hostile.Control(hostile.RstStream, o.id, 5)...)
	}
	return append(all, hostile.Control(hostile.GoAway, 7, 0)...)
}

// A reader finds the frames in what one end reads.
type reader struct {
	protocol Protocol
	head     []byte
	left     int // bytes of the payload still to come
	is       stream
	fin      bool
	key      []byte // of a masked payload
	position int    // in it

	// Told what is found; the slice is valid only during the call.
	data    func(s stream, part []byte)
	ended   func(s stream)
	control func(kind hostile.Kind)
}

func (r *reader) feed(p []byte) {
	for len(p) > 0 {
		if r.left > 0 {
			n := min(r.left, len(p))
			if r.is != none {
				r.data(r.is, r.plain(p[:n]))
			}
			r.left -= n
			p = p[n:]
			r.finish()
			continue
		}
		r.head = append(r.head, p[0])
		p = p[1:]
		if r.complete() {
			r.head = r.head[:0]
			r.finish()
		}
	}
}

// plain unmasks what is masked.
func (r *reader) plain(p []byte) []byte {
	if len(r.key) == 0 {
		return p
	}
	p = bytes.Clone(p)
	for i := range p {
		p[i] ^= r.key[r.position%len(r.key)]
		r.position++
	}
	return p
}

func (r *reader) finish() {
	if r.left == 0 && r.fin && r.is != none {
		r.fin = false
		r.ended(r.is)
	}
}

// complete looks at a head and reports whether it is all there.
func (r *reader) complete() bool {
	h := r.head
	if r.protocol == WebSocket {
		return r.completeWebSocket(h)
	}
	if len(h) < 8 {
		return false
	}
	r.left = int(binary.BigEndian.Uint32(h[4:]) & 0xffffff)
	r.fin = h[4]&hostile.FlagFin != 0
	r.is = none
	if h[0]&0x80 == 0 {
		r.is = streamOf(binary.BigEndian.Uint32(h))
	} else {
		r.control(hostile.Kind(binary.BigEndian.Uint16(h[2:])))
	}
	return true
}

// completeWebSocket takes the channel for a part of the head.
func (r *reader) completeWebSocket(h []byte) bool {
	if len(h) < 2 {
		return false
	}
	size := 2
	switch h[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	extended := size
	if h[1]&0x80 != 0 {
		size += 4
	}
	opcode := h[0] & 0x0f
	data := opcode != hostile.Close && opcode != hostile.PingFrame && opcode != hostile.Pong
	if data {
		size++
	}
	if len(h) < size {
		return false
	}
	switch extended {
	case 2:
		r.left = int(h[1] & 0x7f)
	case 4:
		r.left = int(binary.BigEndian.Uint16(h[2:]))
	default:
		r.left = int(binary.BigEndian.Uint64(h[2:]))
	}
	r.is = none
	if data {
		r.left--
		channel := h[size-1]
		if r.key, r.position = nil, 1; h[1]&0x80 != 0 {
			r.key = bytes.Clone(h[extended : extended+4])
			channel ^= r.key[0]
		}
		r.is = stream(channel)
	}
	return true
}
