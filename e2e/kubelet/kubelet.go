// Package kubelet opens sessions as a kubelet does: with the SPDY client of
// Kubernetes, at a URL that the container runtime gave out.
//
// It translates nothing between a user and the runtime, as a real kubelet also
// does, and follows no redirect.
package kubelet

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

// A Kubelet has a way to the runtime. The zero Kubelet connects to it.
type Kubelet struct {
	Proxy *url.URL // such as socks5://127.0.0.1:1080
}

// Stream runs the session at u until it ends. A command's exit code is in the
// error: see [ExitCode].
func (k Kubelet) Stream(ctx context.Context, u *url.URL, streams remotecommand.StreamOptions) error {
	executor, err := remotecommand.NewSPDYExecutor(k.Config(), http.MethodPost, u)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, streams)
}

// Config is for other clients of Kubernetes that are to take the same way.
func (k Kubelet) Config() *rest.Config {
	return &rest.Config{Proxy: http.ProxyURL(k.Proxy)}
}

// ExitCode returns the exit code in an error of Stream. It reports false for an
// error that has none: then the session failed, not its command.
func ExitCode(err error) (code int, ok bool) {
	if err == nil {
		return 0, true
	}
	var exit exec.ExitError
	if !errors.As(err, &exit) || !exit.Exited() {
		return 0, false
	}
	return exit.ExitStatus(), true
}

// Sizes are the sizes of a user's terminal, as they change. No more come once
// the channel is closed.
type Sizes chan remotecommand.TerminalSize

// Next implements [remotecommand.TerminalSizeQueue].
func (s Sizes) Next() *remotecommand.TerminalSize {
	size, more := <-s
	if !more {
		return nil
	}
	return &size
}
