package differential

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/websocket"
)

// Far more than any buffer holds, and no text.
func TestMegabytesEachWay(t *testing.T) {
	data := make([]byte, 4<<20)
	random := rand.NewChaCha8([32]byte{})
	if _, err := random.Read(data); err != nil {
		t.Fatal(err)
	}
	for _, subprotocol := range []string{"v4.channel.k8s.io", "v4.base64.channel.k8s.io"} {
		t.Run(subprotocol, func(t *testing.T) {
			wire, _ := written(t, subprotocol, data, nil)
			server := []sessiontest.Piece{{From: session.FromServer, Data: wire}}
			server = sessiontest.Recut(server, func() int { return 32 << 10 })
			seen := sessiontest.Decode(websocket.New(subprotocol), server)[session.FromServer]
			if !bytes.Equal(seen.Text(session.Output, session.Stdout), data) {
				t.Error("stdout is not what the server wrote")
			}
			client := typed(subprotocol, data, 32<<10)
			if !bytes.Equal(deliver(subprotocol, client).stdin, data) {
				t.Error("stdin is not what the server read")
			}
			if !bytes.Equal(ours(subprotocol, client).stdin, data) {
				t.Error("stdin is not what the client sent")
			}
		})
	}
}

// typed is stdin as a client sends it, a frame for each size bytes.
func typed(subprotocol string, data []byte, size int) (pieces [][]byte) {
	for len(data) > 0 {
		part := data[:min(len(data), size)]
		data = data[len(part):]
		f := frame{first: 0x82, masked: true, key: [4]byte{1, 2, 3, 4}, payload: message(subprotocol, 0, part)}
		f.resized()
		pieces = append(pieces, f.appendTo(nil))
	}
	return pieces
}
