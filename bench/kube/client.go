package kube

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// Run runs the session at u to its end.
func Run(ctx context.Context, u, proxy *url.URL, in io.Reader, out io.Writer) error {
	config := &rest.Config{Proxy: http.ProxyURL(proxy)}
	executor, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, u)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out, Stderr: io.Discard})
}
