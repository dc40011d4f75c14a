package differential

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"exectape/websocket"

	xnet "golang.org/x/net/websocket"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// A user whose session exectape ends reads why. Without the close frame behind
// the farewell client-go would tell of an abnormal closure instead.
//
// channel.k8s.io is not tried: its reader in client-go (v1.go) is told the end
// of stdout and of the error stream at once, and says success if it looks at
// stdout first, whoever ended the session.
func TestAUserReadsTheFarewell(t *testing.T) {
	const sentence = "exectape: this session was ended"
	for _, subprotocol := range []string{"v5.channel.k8s.io", "v4.channel.k8s.io"} {
		t.Run(subprotocol, func(t *testing.T) {
			server := httptest.NewServer(ending(subprotocol, websocket.New(subprotocol).Farewell(sentence)))
			defer server.Close()
			client, err := remotecommand.NewWebSocketExecutorForProtocols(&rest.Config{Host: server.URL}, http.MethodGet, server.URL, subprotocol)
			if err != nil {
				t.Fatal(err)
			}
			var stdout bytes.Buffer
			err = client.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &stdout})
			if err == nil || !strings.HasSuffix(err.Error(), sentence) {
				t.Errorf("the client says %v, want %q", err, sentence)
			}
			if stdout.String() != "out" {
				t.Errorf("stdout = %q", stdout.String())
			}
		})
	}
}

// ending serves sessions that say "out", and then farewell in place of the
// server.
func ending(subprotocol string, farewell []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := &hijacked{ResponseWriter: w}
		xnet.Server{
			Handshake: func(c *xnet.Config, _ *http.Request) error {
				c.Protocol = []string{subprotocol}
				return nil
			},
			Handler: func(ws *xnet.Conn) {
				_ = xnet.Message.Send(ws, []byte("\x01out"))
				_, _ = h.conn.Write(farewell)
			},
		}.ServeHTTP(h, r)
	}
}

// hijacked remembers the connection that was hijacked from it.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.ResponseWriter.(http.Hijacker).Hijack()
	h.conn = conn
	return conn, rw, err
}
