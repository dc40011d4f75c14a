package e2e_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/session/sessiontest/hostile"
)

// subprotocols are those of containerd's that have channels.
var subprotocols = []string{
	"",
	"channel.k8s.io",
	"base64.channel.k8s.io",
	"v4.channel.k8s.io",
	"v4.base64.channel.k8s.io",
}

// The channels of a session.
const (
	stdinChannel = iota
	stdoutChannel
	stderrChannel
	errorChannel
	resizeChannel
)

// A webSocketClient waits for the process to be ready, does something, speaks
// to the process, and leaves when the server does.
type webSocketClient struct {
	name    string
	process kubelet.Process                              // converse, if it has no command
	then    func(a *attacker, c hostile.Coding) [][]byte // the frames that are sent, if not nil
	until   string                                       // what the process must say to them before it is spoken to, if anything
	deaf    bool                                         // as a trial's, and so are these
	heavy   bool
	why     string

	mayBeUntold bool
}

// stdin is a message of a client as it should be.
func stdin(c hostile.Coding, data string) []byte {
	return hostile.Masked(hostile.Fin|hostile.Binary, c.Encode(stdinChannel, []byte(data)))
}

var webSocketClients = []webSocketClient{
	{name: "as dashboards do"},
	{name: "a terminal", process: sized("25 81"), then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{hostile.Masked(hostile.Fin|hostile.Text, c.Encode(resizeChannel, []byte(small)))}
	}},
	{name: "16 MiB both ways", heavy: true, process: echoing, then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{stdin(c, strings.Repeat("0123456789abcde\n", 1<<20))}
	}},

	{name: "fragments", process: twice, then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{
			hostile.Masked(hostile.Binary, c.Encode(stdinChannel, []byte("he"))),
			hostile.Masked(hostile.Fin|hostile.PingFrame, nil),
			hostile.Masked(hostile.Fin|hostile.Continuation, c.Encode(stdinChannel, []byte("llo\n"))),
		}
	}},
	{name: "a fragment that continues nothing", process: twice, then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{hostile.Masked(hostile.Fin|hostile.Continuation, c.Encode(stdinChannel, []byte("hello\n")))}
	}},
	{name: "RSV bits", process: twice, then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{hostile.Masked(hostile.RSV|hostile.Fin|hostile.Binary, c.Encode(stdinChannel, []byte("hello\n")))}
	}},
	{name: "opcodes that the RFC reserves", process: twice, then: func(_ *attacker, c hostile.Coding) (frames [][]byte) {
		for i, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
			frames = append(frames, hostile.Masked(hostile.Fin|opcode, c.Encode(stdinChannel, []byte{"hello hey\n"[i]})))
		}
		return frames
	}},
	{name: "lengths in longer forms than they need", process: twice, then: func(_ *attacker, c hostile.Coding) [][]byte {
		payload := c.Encode(stdinChannel, []byte("hello\n"))
		return [][]byte{hostile.MaskedIn(hostile.Bits63, 1<<63|uint64(len(payload)), hostile.Fin|hostile.Binary, payload)}
	}},
	{name: "a channel that there is not", then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{hostile.Masked(hostile.Fin|hostile.Binary, c.Encode(9, []byte("hello\n")))}
	}},
	{name: "data on the channels of the server", then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{
			hostile.Masked(hostile.Fin|hostile.Binary, c.Encode(stdoutChannel, []byte("hello\n"))),
			hostile.Masked(hostile.Fin|hostile.Binary, c.Encode(errorChannel, []byte("hello\n"))),
		}
	}},
	{name: "messages without a byte", then: func(*attacker, hostile.Coding) [][]byte {
		return [][]byte{hostile.Masked(hostile.Fin|hostile.Binary, nil), hostile.Masked(hostile.Fin|hostile.Text, nil)}
	}},
	{name: "10000 pings", then: func(*attacker, hostile.Coding) [][]byte {
		return [][]byte{bytes.Repeat(hostile.Masked(hostile.Fin|hostile.PingFrame, nil), 10_000)}
	}},
	{name: "a frame that is not masked", deaf: true, why: "not masked", then: func(_ *attacker, c hostile.Coding) [][]byte {
		return [][]byte{hostile.Unmasked(hostile.Fin|hostile.Binary, c.Encode(stdinChannel, []byte("go\n")))}
	}},
	{name: "a frame of 32 MiB and a byte", deaf: true, why: "33554433 bytes", then: func(*attacker, hostile.Coding) [][]byte {
		return [][]byte{hostile.MaskedIn(hostile.Bits63, 32<<20+1, hostile.Fin|hostile.Binary, nil)}
	}},
	{name: "a frame behind the close frame", deaf: true, mayBeUntold: true, why: "behind the close frame", then: func(*attacker, hostile.Coding) [][]byte {
		return [][]byte{hostile.Masked(hostile.Fin|hostile.Close, nil)}
	}},
}

// largestFrame is a client that sends the largest frame that the server reads.
// In base64 newlines fill it up, which stand for nothing.
func largestFrame(c hostile.Coding) webSocketClient {
	const size = 32 << 20
	room := size - 1
	if c.Base64 {
		room = room / 4 * 3
	}
	payload := c.Encode(stdinChannel, bytes.Repeat([]byte("x"), room))
	payload = append(payload, bytes.Repeat([]byte("\n"), size-len(payload))...)
	return webSocketClient{
		name: "a frame of 32 MiB", heavy: true, process: counting(room), until: fmt.Sprintf("%d\n", room),
		then: func(*attacker, hostile.Coding) [][]byte {
			return [][]byte{hostile.Masked(hostile.Fin|hostile.Binary, payload)}
		},
	}
}

// echoing says 16 MiB that it is told.
var echoing = kubelet.Process{
	Command: shell(`echo ready; dd ibs=65536 obs=65536 count=256 iflag=fullblock 2>/dev/null; echo "got go"`),
	Stdin:   true,
}

// twice is spoken to twice.
var twice = kubelet.Process{
	Command: shell(`echo ready; read line; echo "first $line"; read line; echo "got $line"; echo err >&2; exit 3`),
	Stdin:   true,
}

func TestHostileWebSocket(t *testing.T) {
	for _, subprotocol := range subprotocols {
		t.Run("subprotocol "+subprotocol, func(t *testing.T) {
			coding := hostile.Coding{Base64: strings.Contains(subprotocol, "base64")}
			var trials []trial
			for _, c := range append(webSocketClients, largestFrame(coding)) {
				trials = append(trials, c.trial(subprotocol, coding))
			}
			testTrials(t, webSocketDialect(coding), trials)
		})
	}
}

func (c webSocketClient) trial(subprotocol string, coding hostile.Coding) trial {
	test := trial{name: c.name, process: c.process, deaf: c.deaf, mayBeUntold: c.mayBeUntold, heavy: c.heavy, why: c.why}
	if c.process.Command == nil {
		test.process = converse
	}
	test.play = func(a *attacker) {
		a.errorStream = errorChannel
		say(a.t, a, webSocketRequest(a.path, subprotocol))
		a.granted()
		a.sees(webSocketDialect(coding), "ready")
		if c.then != nil {
			a.sends(c.then(a, coding)...)
		}
		a.sees(webSocketDialect(coding), c.until)
		a.sends(stdin(coding, "go\n"))
		a.leaves(saidClose)
	}
	return test
}

func webSocketRequest(path, subprotocol string) string {
	request := "GET " + path + http11 + "\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
	if subprotocol != "" {
		request += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	return request + "\r\n"
}

// saidClose reports whether the server closed the session.
func saidClose(received []byte) bool {
	for m := range hostile.Messages(received) {
		if m.Opcode == hostile.Close {
			return true
		}
	}
	return false
}

func webSocketDialect(coding hostile.Coding) dialect {
	return dialect{
		utterances: func(wire []byte) (all []utterance) {
			for m := range hostile.Messages(wire) {
				if m.Opcode == hostile.Text || m.Opcode == hostile.Binary {
					channel, data := coding.Decode(m.Payload)
					all = append(all, utterance{uint32(channel), data, m.Bytes})
				}
			}
			return all
		},
		goodbye: hostile.Unmasked(hostile.Fin|hostile.Close, []byte{1000 >> 8, 1000 & 0xff}),
	}
}
