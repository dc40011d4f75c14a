package proxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"time"

	"go.uber.org/zap"
	"tailscale.com/k8s-operator/sessionrecording/spdy"
	"tailscale.com/k8s-operator/sessionrecording/tsrecorder"
	"tailscale.com/sessionrecording"
	"tailscale.com/tstime"
)

// tailscale records with the connection of Tailscale's Kubernetes operator. It
// gives it one frame a call: with more than one it would keep those behind the
// first for the next call, or for ever.
//
// Its recorder is a file here, in place of a connection to another machine.
type tailscale struct{ dir string }

func (t tailscale) serve(client, target *net.TCPConn) error {
	fromClient, fromTarget := bufio.NewReader(client), bufio.NewReader(target)
	if err := upgrade(client, target, fromClient, fromTarget); err != nil {
		return err
	}
	file, err := os.CreateTemp(t.dir, "*.cast")
	if err != nil {
		return err
	}
	log := zap.NewNop().Sugar()
	recorder := tsrecorder.New(file, tstime.StdClock{}, time.Now(), true, log)
	conn, err := spdy.New(context.Background(), &framed{TCPConn: client, from: fromClient}, recorder, sessionrecording.CastHeader{Version: 2, Timestamp: time.Now().Unix()}, false, log)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.CopyBuffer(struct{ io.Writer }{target}, struct{ io.Reader }{conn}, make([]byte, 64<<10))
		_ = target.CloseWrite()
	}()
	_ = frames(fromTarget, func(frame []byte) error {
		_, err := conn.Write(frame)
		return err
	})
	_ = client.CloseWrite()
	<-done
	return conn.Close()
}

// upgrade forwards a request and its 101.
func upgrade(client, target *net.TCPConn, fromClient, fromTarget *bufio.Reader) error {
	request, err := http.ReadRequest(fromClient)
	if err != nil {
		return err
	}
	head, err := httputil.DumpRequest(request, false)
	if err != nil {
		return err
	}
	if _, err := target.Write(head); err != nil {
		return err
	}
	response, err := http.ReadResponse(fromTarget, request)
	if err != nil {
		return err
	}
	if head, err = httputil.DumpResponse(response, false); err != nil {
		return err
	}
	_, err = client.Write(head)
	return err
}

// frames reads frames of SPDY, one after the other.
func frames(from *bufio.Reader, each func([]byte) error) error {
	var frame []byte
	for {
		var err error
		if frame, err = next(from, frame); err != nil {
			return err
		}
		if err := each(frame); err != nil {
			return err
		}
	}
}

// next reads a frame into memory that may be used again.
func next(from *bufio.Reader, memory []byte) ([]byte, error) {
	head, err := from.Peek(8)
	if err != nil {
		return memory, err
	}
	size := 8 + int(binary.BigEndian.Uint32(head[4:])&0xffffff)
	if cap(memory) < size {
		memory = make([]byte, size)
	}
	memory = memory[:size]
	_, err = io.ReadFull(from, memory)
	return memory, err
}

// framed is a connection whose Read returns a frame, if there is room for it.
type framed struct {
	*net.TCPConn
	from  *bufio.Reader
	frame []byte // memory
	rest  []byte // of the frame
}

// Read implements [io.Reader].
func (f *framed) Read(p []byte) (n int, err error) {
	if len(f.rest) == 0 {
		if f.frame, err = next(f.from, f.frame); err != nil {
			return 0, err
		}
		f.rest = f.frame
	}
	n = copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
