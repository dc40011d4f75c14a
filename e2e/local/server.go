// Package local is a container runtime without containers: Kubernetes' own
// streaming server, the one that containerd is built on, over processes of this
// machine. It needs no privileges, and so stands in for containerd where there
// are none.
//
// It isolates nothing, attaches to nothing and forwards no ports.
package local

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"exectape/e2e/kubelet"
)

// A Server serves exec.
type Server struct {
	Streaming netip.AddrPort // where

	http      *http.Server
	streaming streaming.Server
	served    chan error
}

// Start starts a Server on a loopback port that is free.
func Start() (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := streaming.DefaultConfig
	config.BaseURL = &url.URL{Scheme: "http", Host: ln.Addr().String()}
	handler, err := streaming.NewServer(config, processes{})
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	s := &Server{
		Streaming: ln.Addr().(*net.TCPAddr).AddrPort(),
		http:      &http.Server{Handler: handler},
		streaming: handler,
		served:    make(chan error),
	}
	go func() { s.served <- s.http.Serve(ln) }()
	return s, nil
}

// Close stops the server. Sessions that are still going on go on.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Exec implements [kubelet.Runtime].
func (s *Server) Exec(_ context.Context, p kubelet.Process) (*url.URL, error) {
	answer, err := s.streaming.GetExec(&cri.ExecRequest{
		ContainerId: "this-machine",
		Cmd:         p.Command,
		Stdin:       p.Stdin,
		Stdout:      true,
		Stderr:      !p.TTY,
		Tty:         p.TTY,
	})
	if err != nil {
		return nil, err
	}
	return url.Parse(answer.GetUrl())
}

// processes implements [streaming.Runtime].
type processes struct{}

func (processes) Exec(ctx context.Context, _ string, command []string, in io.Reader, out, err io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize) error {
	if tty {
		return runOnTerminal(ctx, command, in, out, sizes)
	}
	return runOnPipes(ctx, command, in, out, err)
}

func (processes) Attach(context.Context, string, io.Reader, io.WriteCloser, io.WriteCloser, bool, <-chan remotecommand.TerminalSize) error {
	return errors.New("a process of this machine can't be attached to")
}

func (processes) PortForward(context.Context, string, int32, io.ReadWriteCloser) error {
	return errors.New("a process of this machine has no ports of its own")
}
