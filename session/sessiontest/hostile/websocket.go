package hostile

import (
	"encoding/base64"
	"encoding/binary"
	"iter"
)

// Bits of a WebSocket frame's first byte (RFC 6455, section 5.2); the low half
// is the opcode.
const (
	Fin = 0x80
	RSV = 0x70

	Continuation = 0
	Text         = 1
	Binary       = 2
	Close        = 8
	PingFrame    = 9
	Pong         = 10
)

// A Form is how many bits a frame's length takes.
type Form int

// The forms of a length. The longer two may be used for any.
const (
	Bits7  Form = 7
	Bits16 Form = 16
	Bits63 Form = 63
)

func shortest(n int) Form {
	switch {
	case n < 126:
		return Bits7
	case n < 1<<16:
		return Bits16
	default:
		return Bits63
	}
}

const maskBit = 0x80

var key = [4]byte{0x5a, 0, 0xff, 0x13}

// Masked makes a frame as clients do.
func Masked(first byte, payload []byte) []byte {
	return MaskedIn(shortest(len(payload)), uint64(len(payload)), first, payload)
}

// MaskedIn makes a frame that claims length, in a form, whatever the payload.
func MaskedIn(form Form, length uint64, first byte, payload []byte) []byte {
	f := append(head(first, maskBit, form, length), key[:]...)
	for i, b := range payload {
		f = append(f, b^key[i%len(key)])
	}
	return f
}

// Unmasked makes a frame as servers do.
func Unmasked(first byte, payload []byte) []byte {
	return append(head(first, 0, shortest(len(payload)), uint64(len(payload))), payload...)
}

func head(first, mask byte, form Form, length uint64) []byte {
	switch form {
	case Bits7:
		return []byte{first, mask | byte(length)}
	case Bits16:
		return binary.BigEndian.AppendUint16([]byte{first, mask | 126}, uint16(length))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, mask | 127}, length)
	}
}

// A Message is a frame of a WebSocket server, which sends no fragments.
type Message struct {
	Opcode  byte
	Payload []byte // as it is on the wire
	Bytes   []byte // the whole frame
}

// Messages are the whole frames that wire begins with.
func Messages(wire []byte) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for rest := wire; len(rest) >= 2; {
			size, length := 2, uint64(rest[1])
			switch {
			case rest[1] == 126 && len(rest) >= 4:
				size, length = 4, uint64(binary.BigEndian.Uint16(rest[2:]))
			case rest[1] == 127 && len(rest) >= 10:
				size, length = 10, binary.BigEndian.Uint64(rest[2:])
			case rest[1] >= 126:
				return
			}
			if uint64(len(rest)-size) < length {
				return
			}
			end := size + int(length)
			if !yield(Message{rest[0] & 0x0f, rest[size:end], rest[:end]}) {
				return
			}
			rest = rest[end:]
		}
	}
}

// A Coding is how a channel's data is put into a message.
type Coding struct{ Base64 bool }

// Encode makes the payload of a message on a channel.
func (c Coding) Encode(channel byte, data []byte) []byte {
	if !c.Base64 {
		return append([]byte{channel}, data...)
	}
	return base64.StdEncoding.AppendEncode([]byte{'0' + channel}, data)
}

// Decode takes a message's payload apart.
func (c Coding) Decode(payload []byte) (channel byte, data []byte) {
	switch {
	case len(payload) == 0:
		return 0, nil
	case !c.Base64:
		return payload[0], payload[1:]
	}
	data, err := base64.StdEncoding.AppendDecode(nil, payload[1:])
	if err != nil {
		data = payload[1:] // which no recording has
	}
	return payload[0] - '0', data
}
