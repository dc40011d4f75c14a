package hand

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"exectape/bench/content"
	"exectape/session/sessiontest/hostile"
)

// Work is what the command of a session does.
type Work struct {
	Do    string // the name of a content.Kind: write it; or one of those below
	Bytes int64
}

// Echo says what it is told, Upload only takes it, both until stdin ends. Exit
// does nothing.
const (
	Echo   = "echo"
	Upload = "upload"
	Exit   = "exit"
)

func (w Work) query() string {
	return url.Values{"do": {w.Do}, "bytes": {strconv.FormatInt(w.Bytes, 10)}}.Encode()
}

// prompts reports whether there is output before anything is typed.
func (w Work) prompts() bool { return w.Do == Echo }

// Server is the runtime's end of sessions.
type Server struct {
	Uploaded atomic.Int64 // bytes of stdin, of all sessions

	outputs map[Protocol]map[string][][]byte
}

// NewServer returns a server.
func NewServer() *Server {
	s := &Server{outputs: make(map[Protocol]map[string][][]byte)}
	for _, p := range []Protocol{SPDY, WebSocket} {
		s.outputs[p] = make(map[string][][]byte)
		for _, k := range []content.Kind{content.Text, content.Redraw, content.Binary} {
			for _, f := range content.Frames(k) {
				s.outputs[p][string(k)] = append(s.outputs[p][string(k)], p.fromServer(stdout, f))
			}
		}
	}
	return s
}

// ServeHTTP upgrades, and runs the session.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protocol := SPDY
	if r.Header.Get("Upgrade") == "websocket" {
		protocol = WebSocket
	}
	n, _ := strconv.ParseInt(r.FormValue("bytes"), 10, 64) // 0: until stdin ends
	work := Work{Do: r.FormValue("do"), Bytes: n}
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	answer := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
	if protocol == WebSocket {
		answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
	}
	if _, err := io.WriteString(conn, answer); err != nil {
		return
	}
	s.run(conn, buffered.Reader, protocol, work)
}

// run runs one session. An error is its client's end.
func (s *Server) run(conn net.Conn, buffered *bufio.Reader, p Protocol, work Work) {
	size := 512
	if work.Do == Upload {
		size = 256 << 10
	}
	e := &serving{server: s, conn: conn, protocol: p, work: work, buffer: make([]byte, size)}
	e.reader = reader{protocol: p, data: e.data, ended: func(is stream) { e.over = e.over || is == stdin }, control: e.control}
	if n := buffered.Buffered(); n > 0 {
		early, _ := buffered.Peek(n)
		e.reader.feed(early)
	}
	if err := e.run(); err != nil {
		return
	}
	if _, err := conn.Write(p.farewell()); err != nil {
		return
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

// serving is one session.
type serving struct {
	server   *Server
	conn     net.Conn
	protocol Protocol
	work     Work
	reader   reader
	buffer   []byte
	opened   int
	over     bool // stdin ended
	err      error
}

func (e *serving) run() error {
	if e.protocol == SPDY {
		if err := e.until(func() bool { return e.opened == len(ids) }); err != nil {
			return err
		}
	}
	switch e.work.Do {
	case Exit:
		return nil
	case Echo:
		if _, err := e.conn.Write(e.protocol.fromServer(stdout, []byte("$ "))); err != nil {
			return err
		}
		return e.until(func() bool { return e.over })
	case Upload:
		return e.until(func() bool { return e.over })
	}
	frames := e.server.outputs[e.protocol][e.work.Do]
	size := int64(len(content.Frames(content.Kind(e.work.Do))[0]))
	for i, left := 0, e.work.Bytes; left > 0; i, left = i+1, left-size {
		if _, err := e.conn.Write(frames[i%len(frames)]); err != nil {
			return err
		}
	}
	return nil
}

func (e *serving) until(done func() bool) error {
	for !done() {
		n, err := e.conn.Read(e.buffer)
		if err := errors.Join(err, e.err); err != nil {
			return err
		}
		e.reader.feed(e.buffer[:n])
	}
	return e.err
}

func (e *serving) control(k hostile.Kind) {
	if k == hostile.SynStream && e.opened < len(replies) {
		_, err := e.conn.Write(replies[e.opened])
		e.err = errors.Join(e.err, err)
		e.opened++
	}
}

func (e *serving) data(s stream, part []byte) {
	if s != stdin {
		return
	}
	if e.work.Do != Echo {
		e.server.Uploaded.Add(int64(len(part)))
		return
	}
	_, err := e.conn.Write(e.protocol.fromServer(stdout, part))
	e.err = errors.Join(e.err, err)
}
