package intercept

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// exchanges follows the HTTP exchanges of one connection, heads and bodies, up
// to the first that is answered with a 101, whatever it looked like.
//
// Requests are let through one at a time: what a client pipelines behind one
// waits for its answer, because only the answer tells whether it is HTTP.
//
// Two goroutines: fromClient runs in the caller's, fromTarget in one that run
// starts and waits for.
type exchanges struct {
	client, target *wire
	timeout        time.Duration // for each head, of either side

	asked   chan *http.Request  // the request that the target is to answer
	answers chan *http.Response // its answers, each after it was forwarded; a 101 before
	done    chan struct{}       // closed when fromTarget has ended
	gone    chan struct{}       // closed when fromClient has ended
}

// An upgrade is a 101 that was not forwarded yet, and what it answers.
type upgrade struct {
	request  *http.Request
	response *http.Response

	// unsure says that the request had a small body. net/http drops it before
	// it answers; as of Go 1.19.0 to 1.19.8 and 1.20.0 to 1.20.3 it answers a
	// 101 at once, and the body is the session's beginning.
	unsure bool
}

func follow(client, target *wire, timeout time.Duration) (*upgrade, error) {
	x := &exchanges{
		client: client, target: target, timeout: timeout,
		asked:   make(chan *http.Request, 1),
		answers: make(chan *http.Response),
		done:    make(chan struct{}),
		gone:    make(chan struct{}),
	}
	return x.run()
}

// run returns the upgrade, or nil and why there was none; io.EOF is an
// orderly end.
func (x *exchanges) run() (*upgrade, error) {
	var targetErr error
	go func() {
		defer close(x.done)
		targetErr = x.fromTarget()
		// Wakes fromClient, which may be waiting for a next request.
		_ = x.client.SetReadDeadline(time.Unix(1, 0))
	}()
	up, err := x.fromClient()
	close(x.gone)
	if up == nil {
		// Wakes fromTarget, unless it still has an answer to forward.
		_ = x.target.CloseWrite()
		_ = x.target.SetReadDeadline(time.Now().Add(x.timeout))
	}
	<-x.done
	switch {
	case up != nil:
		_ = x.client.SetReadDeadline(time.Time{})
		_ = x.target.SetReadDeadline(time.Time{})
		return up, nil
	case errors.Is(err, errTargetEnded) && targetErr != nil:
		return nil, targetErr
	default:
		return nil, err
	}
}

var errTargetEnded = errors.New("the target ended the connection")

// fromClient forwards requests until one is answered with a 101.
func (x *exchanges) fromClient() (*upgrade, error) {
	for afterPost := false; ; {
		req, err := x.nextRequest(afterPost)
		if err != nil {
			return nil, err
		}
		resp, err := x.exchange(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return &upgrade{req, resp, req.ContentLength != 0 && !sessionBeforeBody(req)}, nil
		}
		afterPost = req.Method == http.MethodPost
	}
}

func (x *exchanges) nextRequest(afterPost bool) (*http.Request, error) {
	_ = x.client.SetReadDeadline(time.Now().Add(x.timeout))
	if x.targetEnded() {
		return nil, errTargetEnded
	}
	req, err := x.client.request(afterPost)
	switch {
	case x.targetEnded():
		return nil, errTargetEnded
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, &badRequest{err}
	}
	_ = x.client.SetReadDeadline(time.Time{})
	return req, nil
}

// badRequest is what a client sent instead of a request.
type badRequest struct{ error }

func (b *badRequest) Error() string { return "read a request: " + b.error.Error() }
func (b *badRequest) Unwrap() error { return b.error }

// answerTo tells a client why its request was not forwarded, if that is why
// its connection ends: a server's own answer to it would be much the same.
func answerTo(client io.Writer, err error) {
	var bad *badRequest
	switch {
	case !errors.As(err, &bad), errors.Is(err, os.ErrDeadlineExceeded):
	case errors.Is(err, errHeadTooLarge):
		answer(client, http.StatusRequestHeaderFieldsTooLarge, "exectape: "+bad.Error())
	default:
		answer(client, http.StatusBadRequest, "exectape: "+bad.Error())
	}
}

// answer is the last answer on a connection, and our own.
func answer(client io.Writer, status int, sentence string) {
	_, _ = fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		status, http.StatusText(status), len(sentence)+1, sentence)
}

func (x *exchanges) targetEnded() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// exchange forwards one request and returns its final answer.
func (x *exchanges) exchange(req *http.Request) (*http.Response, error) {
	x.asked <- req
	_ = x.target.SetReadDeadline(time.Now().Add(x.timeout))
	if err := x.client.forward(x.target); err != nil {
		return nil, fmt.Errorf("forward a request's head: %w", err)
	}
	held := sessionBeforeBody(req)
	if !held {
		if err := x.requestBody(req); err != nil {
			return nil, err
		}
	}
	for {
		resp, err := x.answer()
		if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
		if held {
			held = false
			if err := x.requestBody(req); err != nil {
				return nil, err
			}
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
	}
}

func (x *exchanges) answer() (*http.Response, error) {
	select {
	case resp := <-x.answers:
		return resp, nil
	case <-x.done:
		return nil, errTargetEnded
	}
}

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

func (x *exchanges) requestBody(req *http.Request) error {
	var body io.Reader = req.Body
	if asksUpgrade(req) && req.ContentLength < 0 {
		body = &limited{body, maxDropped}
	}
	if err := x.client.body(body, x.target); err != nil {
		return fmt.Errorf("forward a request's body: %w", err)
	}
	return nil
}

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

// fromTarget forwards answers until one is a 101.
func (x *exchanges) fromTarget() error {
	for {
		if _, err := x.target.br.Peek(1); err != nil {
			return err
		}
		req := x.outstanding()
		for final := false; !final; {
			resp, err := x.forwardAnswer(req)
			if err != nil {
				return err
			}
			final = resp.StatusCode >= 200
			if req == nil {
				continue // the target spoke unasked, such as a 408
			}
			select {
			case x.answers <- resp:
			case <-x.gone:
			}
			if resp.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
		}
	}
}

// outstanding returns the request that waits for an answer, or nil.
func (x *exchanges) outstanding() *http.Request {
	select {
	case req := <-x.asked:
		return req
	default:
		return nil
	}
}

var errUnasked = errors.New("the target answered 101 to no request")

// forwardAnswer reads one response's head and, unless it is a 101, forwards
// it, body and all.
func (x *exchanges) forwardAnswer(req *http.Request) (*http.Response, error) {
	resp, err := x.target.response(req)
	if err != nil {
		return nil, fmt.Errorf("read a response: %w", err)
	}
	_ = x.target.SetReadDeadline(time.Time{})
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if req == nil {
			return nil, errUnasked
		}
		return resp, nil
	}
	if err := x.target.forward(x.client); err != nil {
		return nil, fmt.Errorf("forward a response's head: %w", err)
	}
	if err := x.target.body(resp.Body, x.client); err != nil {
		_ = x.target.forward(x.client) // a body that is cut off is so for the client, too
		return nil, fmt.Errorf("forward a response's body: %w", err)
	}
	return resp, nil
}

// isPortForward reports whether a request is for a port-forward and can be for
// nothing else: its target is, to the letter, what the runtime's CRI hands out
// (k8s.io/cri-streaming, request_cache.go: a token is 8 characters of URL-safe
// base64). A token is good for one kind of request only.
func isPortForward(req *http.Request) bool {
	token, ok := strings.CutPrefix(req.RequestURI, "/portforward/")
	if !ok || len(token) != 8 {
		return false
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return strings.Trim(token, alphabet) == ""
}

// verb returns "exec" or "attach" if that is what the request's path begins
// with, however it is written.
func verb(req *http.Request) string {
	path := strings.TrimLeft(req.URL.Path, "/")
	switch first, _, _ := strings.Cut(path, "/"); first {
	case "exec", "attach":
		return first
	}
	return ""
}
