package websocket_test

import (
	"encoding/base64"

	"exectape/session/sessiontest/hostile"
)

// Short names for what the tests here are full of.
const (
	fin = hostile.Fin
	rsv = hostile.RSV

	continuation = hostile.Continuation
	text         = hostile.Text
	binaryFrame  = hostile.Binary
	closeFrame   = hostile.Close
	ping         = hostile.PingFrame
	pong         = hostile.Pong
)

// masked is a frame as a client sends it.
func masked(first byte, payload string) []byte { return hostile.Masked(first, []byte(payload)) }

// extended is a masked frame whose length is written in a form that may be
// longer than it takes, and whatever payload follows.
func extended(first byte, form hostile.Form, length uint64, payload string) []byte {
	return hostile.MaskedIn(form, length, first, []byte(payload))
}

// plain is a frame as a server sends it.
func plain(first byte, payload string) []byte { return hostile.Unmasked(first, []byte(payload)) }

// digits is a message of a base64 subprotocol.
func digits(channel byte, data string) string {
	return string('0'+channel) + base64.StdEncoding.EncodeToString([]byte(data))
}
