// Package kube is both ends of a session as they are on a node: client-go, which
// the kubelet's own client is, and k8s.io/cri-streaming, which containerd's
// server is.
package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"exectape/bench/content"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// The commands that a session can have, beside what [Print] returns. Echo says
// what it is told until stdin ends, Exit says one line.
const (
	Echo = "echo"
	Exit = "exit"
)

// Print is a command that says so many bytes of a kind, and at most a frame more.
func Print(k content.Kind, bytes int64) string { return fmt.Sprintf("print %s %d", k, bytes) }

// A Server is a runtime's streaming server.
type Server struct{ streaming streaming.Server }

// NewServer returns a server that is reached at host.
func NewServer(host string) (*Server, error) {
	config := streaming.DefaultConfig
	config.BaseURL = &url.URL{Scheme: "http", Host: host}
	s, err := streaming.NewServer(config, commands{})
	if err != nil {
		return nil, err
	}
	return &Server{s}, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.streaming.ServeHTTP(w, r) }

// Exec returns the URL at which a command is run, once.
func (s *Server) Exec(command string) (string, error) {
	answer, err := s.streaming.GetExec(&cri.ExecRequest{ContainerId: "bench", Cmd: []string{command}, Stdin: command == Echo, Stdout: true, Stderr: true})
	if err != nil {
		return "", err
	}
	return answer.GetUrl(), nil
}

// commands implements [streaming.Runtime]: nothing is run but a line of ours.
type commands struct{}

func (commands) Exec(_ context.Context, _ string, command []string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	var kind content.Kind
	var bytes int64
	switch n, _ := fmt.Sscanf(command[0], "print %s %d", &kind, &bytes); {
	case n == 2:
		return say(out, kind, bytes)
	case command[0] == Echo:
		_, err := io.Copy(struct{ io.Writer }{out}, in)
		return err
	}
	_, err := io.WriteString(out, "total 0\n")
	return err
}

func say(out io.Writer, k content.Kind, bytes int64) error {
	frames := content.Frames(k)
	for i := 0; bytes > 0; i++ {
		n, err := out.Write(frames[i%len(frames)])
		if err != nil {
			return err
		}
		bytes -= int64(n)
	}
	return nil
}

var errNotServed = errors.New("the bench only execs")

func (commands) Attach(context.Context, string, io.Reader, io.WriteCloser, io.WriteCloser, bool, <-chan remotecommand.TerminalSize) error {
	return errNotServed
}

func (commands) PortForward(context.Context, string, int32, io.ReadWriteCloser) error {
	return errNotServed
}
