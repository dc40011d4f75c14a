package differential

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"exectape/e2e/kubelet"
	"exectape/e2e/local"
	"exectape/session"
	"exectape/session/sessiontest"
	"exectape/websocket"
)

// A process behind the real server says what it read on stdin, and what it
// says is recorded, in every subprotocol and whatever frames stdin came in.
func TestAProcessReadsWhatIsRecorded(t *testing.T) {
	server, err := local.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	const stdin = "one two three four five six"
	for _, subprotocol := range subprotocols {
		t.Run(subprotocol, func(t *testing.T) {
			address, err := server.Exec(t.Context(), kubelet.Process{
				Command: []string{"sh", "-c", "head -c 27 | tee /dev/stderr; exit 3"}, Stdin: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			target := dial(t, server.Streaming, address.String(), subprotocol)
			var seen recording
			conn := session.NewConn(target, session.Info{Start: time.Now()}, websocket.New(subprotocol), &seen, session.FailClosed)
			if _, err := conn.Write(oddly(subprotocol, stdin)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Fatal(err)
			}
			for _, got := range [][]byte{
				seen.Text(session.Input, session.Stdin),
				seen.Text(session.Output, session.Stdout),
				seen.Text(session.Output, session.Stderr),
			} {
				if string(got) != stdin {
					t.Errorf("recorded %q, want %q", got, stdin)
				}
			}
			switch exit := seen.Exit(); {
			case exit == nil:
				t.Error("no outcome")
			case subprotocol[:min(2, len(subprotocol))] == "v4" && exit.Code != 3, exit.Message == "":
				t.Errorf("exit = %+v", exit)
			}
		})
	}
}

// oddly is data as no client sends it: a word in each of the ways that only
// this server reads, with what it ignores between.
func oddly(subprotocol, data string) []byte {
	ways := []frame{
		{first: 0x82}, {first: 0x01}, {first: 0x00}, {first: 0xf2}, {first: 0x87}, {first: 0x4b},
	}
	ignored := []frame{{first: 0x89, payload: []byte("\x00ping")}, {first: 0x81}, {first: 0x82, payload: []byte("\x07seven")}}
	var all []frame
	for i, word := range bytes.SplitAfter([]byte(data), []byte(" ")) {
		f := ways[i]
		f.payload = message(subprotocol, 0, word)
		all = append(all, f, ignored[i%len(ignored)])
	}
	for i := range all {
		all[i].masked, all[i].key = true, [4]byte{9, byte(i), 0xff, 0}
		all[i].resized()
		all[i].form = []int{7, 16, 64}[i%3]
		all[i].length |= uint64(i%3/2) << 63 // the top bit, where there is one
	}
	return join(all, nil)
}

// upgraded is a connection behind the HTTP head of its 101.
type upgraded struct {
	*net.TCPConn
	rest *bufio.Reader
}

func (u *upgraded) Read(p []byte) (int, error) { return u.rest.Read(p) }

// dial upgrades a connection to the streaming server.
func dial(t *testing.T, server netip.AddrPort, address, subprotocol string) *upgraded {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = upgrade(subprotocol).Header
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	rest := bufio.NewReader(conn)
	response, err := http.ReadResponse(rest, request)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("response = %v, %v", response, err)
	}
	return &upgraded{conn, rest}
}

// recording is what was recorded of a session, in memory.
type recording struct {
	mu sync.Mutex
	sessiontest.Seen
}

func (r *recording) Record(e session.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Add(e)
	return nil
}

func (r *recording) Commit(func(error)) error { return nil }
func (r *recording) Close(session.End) error  { return nil }
