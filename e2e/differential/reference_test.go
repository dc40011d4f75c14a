package differential

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"exectape/session"

	"github.com/go-logr/logr"
	"golang.org/x/net/websocket"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

func TestMain(m *testing.M) {
	klog.SetLogger(logr.Discard()) // the server logs every hostile frame
	os.Exit(m.Run())
}

// subprotocols are those that wsstream serves at a runtime.
var subprotocols = []string{"", "channel.k8s.io", "base64.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"}

// serve returns a server such as k8s.io/cri-streaming makes for a session that
// has every stream.
func serve() *wsstream.Conn {
	channels := []wsstream.ChannelType{
		wsstream.ReadChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.ReadChannel,
	}
	protocols := make(map[string]wsstream.ChannelProtocolConfig)
	for _, name := range subprotocols {
		protocols[name] = wsstream.ChannelProtocolConfig{Binary: !isBase64(name), Channels: channels}
	}
	return wsstream.NewConn(protocols)
}

// delivery is what the server took out of a client's bytes.
type delivery struct {
	stdin, resize []byte
	consumed      int // how far it read, to the byte
}

// deliver has the server read pieces.
func deliver(subprotocol string, pieces [][]byte) delivery {
	w := newWire(pieces)
	_, channels, err := serve().Open(w, upgrade(subprotocol))
	if err != nil {
		panic(err)
	}
	close(w.begin)
	var d delivery
	var reading sync.WaitGroup
	for channel, to := range map[int]*[]byte{0: &d.stdin, 4: &d.resize} {
		reading.Go(func() { *to, _ = io.ReadAll(channels[channel]) })
	}
	reading.Wait() // the server closes all channels when it stops reading
	d.consumed = w.given - w.buffered.Buffered()
	return d
}

// frames returns what the server's codec returns to wsstream, one by one.
func frames(pieces [][]byte) (all [][]byte) {
	handler := func(ws *websocket.Conn) {
		for {
			var data []byte
			if websocket.Message.Receive(ws, &data) != nil {
				return
			}
			all = append(all, data)
		}
	}
	w := newWire(pieces)
	close(w.begin)
	websocket.Server{Handler: handler}.ServeHTTP(w, upgrade(""))
	return all
}

// sizes reads a resize stream as remotecommand's handleResizeEvents does.
func sizes(stream []byte) (all []session.Size) {
	documents := json.NewDecoder(bytes.NewReader(stream))
	for {
		var size struct{ Width, Height uint16 }
		if documents.Decode(&size) != nil {
			return all
		}
		if size.Width > 0 && size.Height > 0 {
			all = append(all, session.Size{Cols: size.Width, Rows: size.Height})
		}
	}
}

// upgrade is a request that the server answers with a 101.
func upgrade(subprotocol string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/exec/token", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	r.Header.Set("Sec-WebSocket-Protocol", subprotocol)
	return r
}

// wire is the client's connection, in memory, and the response that is
// hijacked to get it. The server reads pieces from it, each at once, and then
// the end; but nothing before begin is closed: wsstream's Open can fail when
// the session is over before it returns.
type wire struct {
	net.Conn // nil: nothing else of it is called

	pieces   [][]byte
	given    int // bytes of them
	begin    chan struct{}
	buffered *bufio.Reader

	mu      sync.Mutex
	written bytes.Buffer // by the server, its HTTP head included
}

func newWire(pieces [][]byte) *wire {
	w := &wire{pieces: slices.Clone(pieces), begin: make(chan struct{})}
	w.buffered = bufio.NewReader(w)
	return w
}

func (w *wire) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w, bufio.NewReadWriter(w.buffered, bufio.NewWriter(w)), nil
}

func (w *wire) Read(p []byte) (int, error) {
	<-w.begin
	if len(w.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.pieces[0])
	w.given += n
	if w.pieces[0] = w.pieces[0][n:]; len(w.pieces[0]) == 0 {
		w.pieces = w.pieces[1:]
	}
	return n, nil
}

func (w *wire) Close() error                { return nil }
func (w *wire) SetDeadline(time.Time) error { return nil }

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.Write(p)
}

// A server that hijacks its connection has no other use of these.
func (w *wire) Header() http.Header { return nil }
func (w *wire) WriteHeader(int)     {}

// answer returns what the server wrote behind its HTTP head.
func (w *wire) answer() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, frames, _ := bytes.Cut(w.written.Bytes(), []byte("\r\n\r\n"))
	return frames
}
