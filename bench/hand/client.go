package hand

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"exectape/bench/content"
	"exectape/session/sessiontest/hostile"
)

// patience is how long anything may take that is not the load itself.
const patience = time.Minute

// A Client is a kubelet's end of one session.
type Client struct {
	conn     net.Conn
	protocol Protocol
	reader   reader
	buffer   []byte
	replied  int
	echoed   int
	check    *content.Check
}

// Open begins a session in which the server does work. If check is not nil, it
// is written what comes on stdout.
func Open(conn net.Conn, p Protocol, work Work, check *content.Check) (*Client, error) {
	c := &Client{conn: conn, protocol: p, buffer: make([]byte, 512), check: check}
	c.reader = reader{
		protocol: p,
		data:     c.data,
		ended:    func(stream) {},
		control: func(k hostile.Kind) {
			if k == hostile.SynReply {
				c.replied++
			}
		},
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if err := c.open(work); err != nil {
		return nil, errors.Join(fmt.Errorf("open a session: %w", err), conn.Close())
	}
	return c, nil
}

func (c *Client) open(work Work) error {
	if _, err := io.WriteString(c.conn, request(c.protocol, work)); err != nil {
		return err
	}
	if err := c.answer(); err != nil {
		return err
	}
	if c.protocol == SPDY {
		for i, open := range opens {
			if _, err := c.conn.Write(open); err != nil {
				return err
			}
			if err := c.until(func() bool { return c.replied > i }); err != nil {
				return err
			}
		}
	}
	if !work.prompts() {
		return nil
	}
	return c.until(func() bool { return c.echoed > 0 })
}

func request(p Protocol, work Work) string {
	if p == SPDY {
		return "POST /exec/hand?" + work.query() + " HTTP/1.1\r\nHost: runtime\r\nUser-Agent: kubectl/v1.37.2\r\nContent-Length: 0\r\n" +
			"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\nX-Stream-Protocol-Version: v3.channel.k8s.io\r\n\r\n"
	}
	return "GET /exec/hand?" + work.query() + " HTTP/1.1\r\nHost: runtime\r\nUser-Agent: dashboard\r\n" +
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
}

// answer reads the 101, and what came behind it.
func (c *Client) answer() error {
	var head []byte
	for {
		n, err := c.conn.Read(c.buffer)
		if err != nil {
			return err
		}
		head = append(head, c.buffer[:n]...)
		if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
			if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
				return fmt.Errorf("the runtime answered %.60q", head)
			}
			c.reader.feed(head[end+4:])
			return nil
		}
	}
}

// data is what the server sent on a stream.
func (c *Client) data(s stream, part []byte) {
	if s != stdout {
		return
	}
	c.echoed += len(part)
	if c.check != nil {
		_, _ = c.check.Write(part)
	}
}

// until reads until done.
func (c *Client) until(done func() bool) error {
	for !done() {
		n, err := c.conn.Read(c.buffer)
		if err != nil {
			return err
		}
		c.reader.feed(c.buffer[:n])
	}
	return nil
}

// Wait reads all that the server has to send.
func (c *Client) Wait() error {
	if c.check != nil {
		c.buffer = make([]byte, 256<<10)
	}
	err := c.until(func() bool { return false })
	if !errors.Is(err, io.EOF) {
		return err
	}
	return c.conn.Close()
}

// Upload sends so many bytes, and waits until the server has them.
func (c *Client) Upload(bytes int64) error {
	var frames [][]byte
	for _, f := range content.Frames(content.Text) {
		frames = append(frames, c.protocol.fromClient(stdin, f))
	}
	size := int64(len(content.Frames(content.Text)[0]))
	for i, left := 0, bytes; left > 0; i, left = i+1, left-size {
		if _, err := c.conn.Write(frames[i%len(frames)]); err != nil {
			return err
		}
	}
	return c.End()
}

// Type sends a line and waits for its echo.
func (c *Client) Type(line []byte) error {
	want := c.echoed + len(line)
	if _, err := c.conn.Write(c.protocol.fromClient(stdin, line)); err != nil {
		return err
	}
	return c.until(func() bool { return c.echoed >= want })
}

// End ends stdin, and with it a session that waits for that.
func (c *Client) End() error {
	if c.protocol == WebSocket { // which has no way to say so
		return c.conn.Close()
	}
	if _, err := c.conn.Write(hostile.Data(idOf(stdin), hostile.FlagFin, nil)); err != nil {
		return err
	}
	return c.Wait()
}
