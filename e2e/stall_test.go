package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"exectape/session"
	"exectape/session/sessiontest/hostile"
)

// TestAServerThatStallsInsideAFrameLeavesNoPlaceForAFarewell plays the server,
// too: no runtime stops in the middle of a frame when one wants it to.
func TestAServerThatStallsInsideAFrameLeavesNoPlaceForAFarewell(t *testing.T) {
	needsNode(t)
	var blocks hostile.Blocks
	// With closed, what has come of a frame of up to 40 KiB is not handed on
	// before all of it has.
	shown := bytes.Repeat([]byte("half"), 12<<10)
	long := hostile.Unmasked(hostile.Fin|hostile.Binary, slices.Concat([]byte{stdoutChannel}, shown, shown))
	tests := []struct {
		name, request, grants string
		opens                 []byte // what the client says first
		half                  []byte // a frame, as far as the server sends it
		mistake               []byte // of the client, then
		why                   string
	}{
		{
			name:    "SPDY",
			request: with("", "")("/exec/token"),
			grants:  "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n",
			opens:   slices.Concat(blocks.Open(errorID, "error"), blocks.Open(stdinID, "stdin"), blocks.Open(stdoutID, "stdout")),
			half:    hostile.Claiming(2*len(shown), hostile.Data(stdoutID, 0, shown)),
			mistake: hostile.Control(hostile.Noop),
			why:     "type 5",
		},
		{
			name:    "WebSocket",
			request: webSocketRequest("/exec/token", "v4.channel.k8s.io"),
			grants:  "Upgrade: websocket\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n",
			opens:   hostile.Masked(hostile.Fin|hostile.Binary, []byte{stdinChannel}),
			half:    long[:len(long)-len(shown)],
			mistake: hostile.Unmasked(hostile.Fin|hostile.Binary, []byte{stdinChannel}),
			why:     "not masked",
		},
	}
	target := listen(t)
	e := start(t, "EXECTAPE_IPTABLES=nft", "EXECTAPE_FAIL_POLICY=closed", "EXECTAPE_TARGETS="+target.Addr().String())
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := talk(t, byNFT.mustDial(t, target.Addr().(*net.TCPAddr).AddrPort()))
			say(t, client, test.request)
			server := accept(t, target)
			if _, err := http.ReadRequest(bufio.NewReader(server)); err != nil {
				t.Fatal(err)
			}
			say(t, server, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+test.grants+"\r\n")
			client.answers(http.StatusSwitchingProtocols)
			say(t, client, string(test.opens))
			hear(t, server, string(test.opens))
			say(t, server, string(test.half))
			hear(t, client, string(test.half))
			say(t, client, string(test.mistake))

			rest, err := io.ReadAll(client)
			if len(rest) > 0 || err != nil {
				t.Errorf("the client got %q, %v; want the connection's end and not a word", rest, err)
			}
			_ = client.Close()
			r := e.on(t).recorded()
			if r.EndReason != session.EndByUs || !strings.Contains(r.EndDetail, test.why) || !strings.HasSuffix(r.EndDetail, untold) {
				t.Errorf("the session ended as %q (%s), want %q, a word about %q, and%s", r.EndReason, r.EndDetail, session.EndByUs, test.why, untold)
			}
			scraped(t, "exectape_untold_sessions_total", fmt.Sprint(i+1))
			if got := r.cat("stdout"); !bytes.Equal(got, shown) {
				t.Errorf("the recorded stdout has %d bytes, want those that the client got", len(got))
			}
		})
	}
}
