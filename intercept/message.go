package intercept

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"exectape/session"
)

// wire is one side of an HTTP/1 connection. It is parsed by net/http itself,
// which is what the streaming servers parse with, so that both see the same
// requests; what the parser has consumed is forwarded byte for byte as it came.
//
// One goroutine uses it.
type wire struct {
	session.Duplex
	br      *bufio.Reader // reads through wire.Read
	taken   []byte        // read from the connection and not yet forwarded
	inHead  bool          // a head is being read: taken is bounded
	large   largeHeads
	isLarge bool  // the head has a place among the large ones
	readErr error // the connection's last, which the parser may hide

	owing func() (paid func()) // begins and ends a wait for this side; nil: no matter how long
}

// largeHeads has a place for each head of more than smallHead bytes that may be
// read at once. A kubelet's take a few hundred bytes; without a bound a client
// could have one of a megabyte on each of many connections.
type largeHeads chan struct{}

const (
	smallHead     = 64 << 10
	maxLargeHeads = 8
)

// maxHead is net/http's own limit for a server: DefaultMaxHeaderBytes and what
// it adds for its buffer (initialReadLimitSize in server.go).
const maxHead = http.DefaultMaxHeaderBytes + 4096

var errHeadTooLarge = fmt.Errorf("an HTTP head of more than %d bytes", maxHead)

// parsing are the parsers' buffers. A session has none: it gives them back once
// it begins.
var parsing = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

func newWire(conn session.Duplex, large largeHeads) *wire {
	w := &wire{Duplex: conn, large: large, br: parsing.Get().(*bufio.Reader)}
	w.br.Reset(w)
	return w
}

// Read is the parser's: it keeps what it reads.
func (w *wire) Read(p []byte) (int, error) {
	switch {
	case w.inHead && len(w.taken) > maxHead:
		w.readErr = errHeadTooLarge
		return 0, w.readErr
	case w.inHead && len(w.taken) > smallHead && !w.isLarge:
		// No longer than others take for theirs, which are bounded.
		w.large <- struct{}{}
		w.isLarge = true
	}
	n, err := w.Duplex.Read(p)
	w.taken = append(w.taken, p[:n]...)
	w.readErr = err
	return n, err
}

// forward sends what the parser has consumed to the other side.
func (w *wire) forward(to io.Writer) error {
	n := len(w.taken) - w.br.Buffered()
	if n == 0 {
		return nil
	}
	_, err := to.Write(w.taken[:n])
	w.taken = w.taken[:copy(w.taken, w.taken[n:])]
	if cap(w.taken) > smallHead && len(w.taken) == 0 {
		w.taken = nil // a large head's
	}
	return err
}

// rest returns what was read and not consumed, and lets go of the buffers.
func (w *wire) rest() []byte {
	rest := w.taken[len(w.taken)-w.br.Buffered():]
	w.br.Reset(nil)
	parsing.Put(w.br)
	w.br, w.taken = nil, nil
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// owes begins to wait for this side, and returns what ends it.
func (w *wire) owes() (paid func()) {
	if w.owing == nil {
		return func() {}
	}
	return w.owing()
}

// request reads one request's head. Its body, if it has one, is read from the
// same wire.
func (w *wire) request(afterPost bool) (*http.Request, error) {
	defer w.head()()
	defer w.owes()()
	if afterPost {
		w.skipStrayNewlines()
	}
	req, err := http.ReadRequest(w.br)
	if err != nil && w.readErr != nil {
		// textproto takes a line that an error cut off for a whole one.
		return nil, w.readErr
	}
	return req, withoutWords(err)
}

// errNoHTTP is in place of what net/http says of a head that it can't read,
// which has the head's words in it. They may be a token, or not HTTP at all but
// what somebody typed: they belong in no log.
var errNoHTTP = errors.New("it is no HTTP/1 that net/http can read")

func withoutWords(err error) error {
	for _, harmless := range []error{nil, io.EOF, io.ErrUnexpectedEOF, errHeadTooLarge, errBodyTooLarge} {
		if errors.Is(err, harmless) {
			return err
		}
	}
	if network := new(net.OpError); errors.As(err, &network) {
		return err
	}
	return errNoHTTP
}

// skipStrayNewlines does what net/http does before a request that follows a
// POST (server.go, numLeadingCRorLF): up to four CR and LF are ignored.
func (w *wire) skipStrayNewlines() {
	p, _ := w.br.Peek(4) // an error comes again when the request is read
	for _, c := range p {
		if c != '\r' && c != '\n' {
			return
		}
		_, _ = w.br.Discard(1)
	}
}

// response reads one response's head; req is what it answers, or nil.
func (w *wire) response(req *http.Request) (*http.Response, error) {
	defer w.head()()
	resp, err := http.ReadResponse(w.br, req)
	return resp, withoutWords(err)
}

// head begins a head, and returns what ends it.
func (w *wire) head() (end func()) {
	w.inHead = true
	return func() {
		w.inHead = false
		if w.isLarge {
			w.isLarge = false
			<-w.large
		}
	}
}

// body forwards what is left of a message whose head was read, as it comes,
// framing and trailers included. What was read when it ends with an error is
// left to the caller: a server may take it for the beginning of a session.
func (w *wire) body(body io.Reader, to io.Writer) error {
	if body == http.NoBody {
		return nil
	}
	defer w.owes()()
	var part [4096]byte
	for {
		_, readErr := body.Read(part[:])
		ended := errors.Is(readErr, io.EOF)
		if readErr != nil && !ended {
			return withoutWords(readErr)
		}
		if err := w.forward(to); err != nil || ended {
			return err
		}
	}
}
