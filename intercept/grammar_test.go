package intercept_test

import (
	"slices"
	"strings"
)

// choices are the bytes of a fuzz input that say what is written.
type choices struct{ b []byte }

// of chooses one of n; what was not said is 0.
func (c *choices) of(n int) int {
	if len(c.b) == 0 {
		return 0
	}
	v := int(c.b[0])
	c.b = c.b[1:]
	return v % n
}

// one chooses from what is as it should be, first, and what is not.
func (c *choices) one(of ...string) string { return of[c.of(len(of))] }

// requests writes what a client may send in one go: requests as a kubelet has
// them and as none has, and a session's beginning. Without choices that is
// nothing.
func requests(program []byte) string {
	c := &choices{program}
	var all strings.Builder
	for len(c.b) > 0 {
		all.WriteString(c.request())
	}
	return all.String()
}

func (c *choices) request() string {
	end := c.one("\r\n", "\r\n", "\r\n", "\n", "\r\r\n")
	line := c.one("POST", "GET", "HEAD", "PUT", "CONNECT", "OPTIONS", "PRI", "post", "") + c.one(" ", " ", "  ", "\t") +
		c.target() + c.one(" ", " ", "  ") + c.one("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "")
	lines := []string{line,
		c.one("Host: node", "Host: node", "Host:", "host: a, b", "Host: node"+end+"Host: node", "Host: a/b", "X: y"),
		c.one("Connection: Upgrade", "Connection: Upgrade", "Connection: Upgrade, close", "Connection: keep-alive, Upgrade", "Connection: Upgrade close", "Connection: Upgrade"+end+"Connection: close", "X: y", "Connection: close"),
		c.one("Upgrade: SPDY/3.1", "Upgrade: SPDY/3.1", "Upgrade: h2c, spdy/3.1 ,x", "Upgrade: h2c"+end+"Upgrade: SPDY/3.1", "Upgrade : SPDY/3.1", "Upgrade:"+end+" SPDY/3.1", "X: y", "Upgrade: websocket", "Upgrade: WebSocket"),
		"X-Stream-Protocol-Version: v4.channel.k8s.io",
	}
	framing, body := c.body(end)
	lines = append(lines, framing...)
	for i := range c.of(3) { // headers in another order, or twice
		lines = slices.Insert(lines, 1+c.of(len(lines)), lines[1+i])
	}
	return strings.Join(lines, end) + end + end + body + c.one("", "", "\r\n", "\n", "\r\n\r\n\r\n", "and the session")
}

func (c *choices) target() string {
	verb := c.one("cri/exec", "cri/portforward", "exec", "attach", "portforward", "%65xec", "nowhere", "EXEC")
	token := c.one("abcdefgh", "Ab-_5678", "abcdefgh/", "abcdefgh?a=b", "abcdefghi", "", "a%62cdefgh", "abcdefgh#x")
	return c.one("/", "/", "//", "http://h/", "/./", "/x/../", "", "*", "h:80/") + verb + c.one("/", "/", "%2f", "//") + token
}

// body returns headers and what follows them.
func (c *choices) body(end string) (headers []string, body string) {
	five := "hello"
	chunks := "5" + end + five + end + "0" + end + end
	switch c.of(20) {
	case 1:
		return []string{"Content-Length: 5"}, five
	case 2:
		return []string{"Content-Length: 0"}, ""
	case 3:
		return []string{"Content-Length: 9"}, five
	case 4:
		return []string{"Content-Length: 5", "Content-Length: 5"}, five
	case 5:
		return []string{"Content-Length: 5", "Content-Length: 6"}, five
	case 6:
		return []string{"Content-Length: +5"}, five
	case 7:
		return []string{"Content-Length: 5", "Expect: 100-continue"}, five
	case 8:
		return []string{"Content-Length: 5", "Expect: x"}, five
	case 9:
		return []string{"Transfer-Encoding: chunked"}, chunks
	case 10:
		return []string{"Transfer-Encoding: chunked", "Content-Length: 3"}, chunks
	case 11:
		return []string{"Transfer-Encoding: chunked", "Trailer: X"}, "5;a=b" + end + five + end + "0" + end + "X: y" + end + end
	case 12:
		return []string{"Transfer-Encoding: chunked"}, "zz" + end + five
	case 13:
		return []string{"Transfer-Encoding: chunked"}, "6" + end + five + end + "0" + end + end
	case 14:
		return []string{"Transfer-Encoding: identity"}, five
	case 15:
		return []string{"Transfer-Encoding: chunked", "Expect: 100-continue"}, chunks
	case 16:
		return []string{"Content-Length: 262143"}, strings.Repeat("x", 262143)
	case 17:
		return []string{"Content-Length: 262144"}, strings.Repeat("x", 262144)
	case 18:
		return []string{"Transfer-Encoding: chunked"}, strings.Repeat("8000"+end+strings.Repeat("x", 0x8000)+end, c.of(12)) + "0" + end + end
	case 19:
		return []string{"Transfer-Encoding: gzip, chunked"}, chunks
	default:
		return nil, ""
	}
}

// patched is s with single bytes set: three of patches say where and to what.
func patched(s string, patches []byte) string {
	b := []byte(s)
	for p := range slices.Chunk(patches, 3) {
		if len(p) == 3 && len(b) > 0 {
			b[(int(p[0])<<8|int(p[1]))%len(b)] = p[2]
		}
	}
	return string(b)
}
