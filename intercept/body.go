package intercept

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxDropped is how much of a request's body net/http reads and drops before
// it answers (server.go, maxPostHandlerReadBytes).
const maxDropped = 256 << 10

// sessionBeforeBody reports whether a server that answers req with a 101 takes
// what req calls its body for the beginning of the session. Such a body waits
// for the answer. net/http drops a body before it answers only if it is small
// and the connection is to be kept (server.go, chunkWriter.writeHeader); a
// WebSocket server takes the connection over before that and drops nothing.
func sessionBeforeBody(req *http.Request) bool {
	connection := req.Header.Get("Connection")
	switch {
	case !asksUpgrade(req) || req.ContentLength == 0:
		return false
	case req.ContentLength >= maxDropped, strings.EqualFold(req.Header.Get("Upgrade"), "websocket"):
		return true
	case !req.ProtoAtLeast(1, 1):
		return !hasToken(connection, "keep-alive")
	default:
		return req.Close || hasToken(connection, "close") || req.Header.Get("Expect") != ""
	}
}

// unsure reports whether req has a small body, which a server that answers it
// with a 101 may or may not take for the beginning of the session. net/http
// drops such a body before it answers; as of Go 1.19.0 to 1.19.8 and 1.20.0 to
// 1.20.3 it answers a 101 at once, and the body is the session's beginning.
func unsure(req *http.Request) bool {
	return req.ContentLength != 0 && !sessionBeforeBody(req)
}

// errUnsure is about a client that would otherwise say with which bytes its
// session begins, to us and to its server, in two ways. None has a reason to.
var errUnsure = errors.New("the request to upgrade has a body, which may or may not be the session's beginning")

// hasToken is net/http's (header.go), which is not quite the list that HTTP
// has there: blanks separate as commas do.
func hasToken(value, token string) bool {
	separates := func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }
	return slices.ContainsFunc(strings.FieldsFunc(value, separates), func(s string) bool {
		return len(s) == len(token) && strings.EqualFold(s, token) // no rune of another length
	})
}

func asksUpgrade(req *http.Request) bool {
	return req.Header.Get("Upgrade") != ""
}

var errBodyTooLarge = fmt.Errorf("a request to upgrade with a chunked body of more than %d bytes: where its session begins can't be told", maxDropped)

// limited fails where io.LimitedReader would end.
type limited struct {
	io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.left -= n; l.left < 0 {
		return n, errBodyTooLarge
	}
	return n, err
}
