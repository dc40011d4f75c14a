package websocket_test

import (
	"encoding/base64"
	"encoding/binary"
)

// fin and rsv are bits of a frame's first byte; the opcode is its low half.
const (
	fin = 0x80
	rsv = 0x70

	continuation = 0
	text         = 1
	binaryFrame  = 2
	closeFrame   = 8
	ping         = 9
	pong         = 10
)

// masked is a frame as a client sends it.
func masked(first byte, payload string) []byte {
	return extended(first, lengthForm(len(payload)), uint64(len(payload)), payload)
}

// extended is a masked frame whose length is written in form: 7, 16 or 64
// bits, whatever it takes, and whatever payload follows.
func extended(first byte, form int, length uint64, payload string) []byte {
	key := []byte{0x5a, 0, 0xff, 0x13}
	b := append(prefix(first, 0x80, form, length), key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// plain is a frame as a server sends it.
func plain(first byte, payload string) []byte {
	n := len(payload)
	return append(prefix(first, 0, lengthForm(n), uint64(n)), payload...)
}

func lengthForm(n int) int {
	switch {
	case n < 126:
		return 7
	case n < 1<<16:
		return 16
	default:
		return 64
	}
}

func prefix(first, mask byte, form int, length uint64) []byte {
	switch form {
	case 7:
		return []byte{first, mask | byte(length)}
	case 16:
		return binary.BigEndian.AppendUint16([]byte{first, mask | 126}, uint16(length))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, mask | 127}, length)
	}
}

// digits is a message of a base64 subprotocol.
func digits(channel byte, data string) string {
	return string('0'+channel) + base64.StdEncoding.EncodeToString([]byte(data))
}
