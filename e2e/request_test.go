package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"k8s.io/streaming/pkg/httpstream/spdy"

	"exectape/e2e/kubelet"
)

// upgrade is what every request here ends with.
const upgrade = "Host: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"

const post, http11 = "POST ", " HTTP/1.1"

// askings are ways to ask for the exec at a path.
var askings = []struct {
	name   string
	before string // another request on the same connection, which gets a 404
	line   func(path string) string
	not    string // what the runtime's name begins with that knows no such path
}{
	{name: "as a kubelet does", line: func(path string) string { return post + path + http11 }},
	{name: "with GET", line: func(path string) string { return "GET " + path + http11 }},
	{name: "a slash behind the token", line: func(path string) string { return post + path + "/" + http11 }, not: "containerd 1.6."},
	{name: "a query", line: func(path string) string { return post + path + "?a=b" + http11 }},
	{name: "a whole URL", line: func(path string) string { return post + "http://node" + path + http11 }},
	{name: "an escaped letter", line: func(path string) string { return post + strings.Replace(path, "/e", "/%65", 1) + http11 }},
	{name: "an escaped slash", line: func(path string) string { return post + strings.Replace(path, "c/", "c%2f", 1) + http11 }},
	{name: "HTTP/1.0", line: func(path string) string { return post + path + " HTTP/1.0" }},
	{
		name:   "after a 404",
		before: "GET /exec/nosuch HTTP/1.1\r\nHost: node\r\n\r\n",
		line:   func(path string) string { return post + path + http11 },
	},
	{
		name:   "after a request with a body",
		before: "POST /exec/nosuch HTTP/1.1\r\nHost: node\r\nContent-Length: 5\r\n\r\nhello",
		line:   func(path string) string { return post + path + http11 },
	},
}

func TestHoweverAnExecIsAskedForItIsRecorded(t *testing.T) {
	needsNode(t)
	newest := startLocal(t)
	runtimes := []struct {
		name      string
		runtime   kubelet.Runtime
		streaming netip.AddrPort
	}{
		{runtime.Version, app, streamingServer},
		{"cri-streaming 0.37", newest, newest.Streaming},
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, fmt.Sprintf("EXECTAPE_TARGETS=%v,%v", streamingServer, newest.Streaming))...)
			for _, r := range runtimes {
				for _, asking := range askings {
					if asking.not != "" && strings.HasPrefix(r.name, asking.not) {
						continue
					}
					t.Run(r.name+"/"+asking.name, func(t *testing.T) {
						u, err := r.runtime.Exec(patiently(t), kubelet.Process{Command: shell("echo out; echo err >&2")})
						if err != nil {
							t.Fatal(err)
						}
						conn := talk(t, w.mustDial(t, r.streaming))
						if asking.before != "" {
							conn.asks(asking.before, http.StatusNotFound)
						}
						conn.asks(asking.line(u.Path)+"\r\n"+upgrade, http.StatusSwitchingProtocols)
						got := conn.takesOutput()
						wantSame(t, "the user's stdout", got.stdout, []byte("out\n"))
						wantSame(t, "the user's stderr", got.stderr, []byte("err\n"))
						e.on(t).recorded().wantAnswer(got)
					})
				}
			}
		})
	}
}

// A talker writes its HTTP by hand.
type talker struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func talk(t *testing.T, conn net.Conn) *talker {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &talker{conn, t, bufio.NewReader(conn)}
}

// Read makes the talker a connection that has lost nothing to its buffer.
func (c *talker) Read(p []byte) (int, error) { return c.in.Read(p) }

// asks sends a request, whose answer must have a status.
func (c *talker) asks(request string, status int) {
	c.t.Helper()
	say(c.t, c, request)
	c.answers(status)
}

// answers reads an answer and fails the test unless it has a status.
func (c *talker) answers(status int) {
	c.t.Helper()
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != status {
		c.t.Fatalf("the answer is %s, want %d", answer.Status, status)
	}
	if status == http.StatusSwitchingProtocols {
		return // what follows is no body
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		c.t.Fatal(err)
	}
}

// takesOutput plays the client of a session that has been upgraded to, until
// its end.
func (c *talker) takesOutput() (a answer) {
	c.t.Helper()
	conn, err := spdy.NewClientConnection(c)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	var streams [3]io.Reader
	for i, kind := range []string{"error", "stdout", "stderr"} {
		if streams[i], err = conn.CreateStream(http.Header{"streamtype": {kind}}); err != nil {
			c.t.Fatal(err)
		}
	}
	var all [3][]byte
	for i, stream := range streams {
		if all[i], err = io.ReadAll(stream); err != nil {
			c.t.Fatal(err)
		}
	}
	if want := `"status":"Success"`; !strings.Contains(string(all[0]), want) {
		c.t.Errorf("the session's outcome is %s, want %s", all[0], want)
	}
	return answer{stdout: all[1], stderr: all[2]}
}
