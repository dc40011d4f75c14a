// Package kubelet opens sessions as a kubelet does: with the SPDY client of
// Kubernetes, at a URL that the container runtime gave out. It has the user's
// end of a session, too.
//
// It translates nothing between a user and the runtime, as a real kubelet also
// does, and follows no redirect.
package kubelet

import (
	"context"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// A Kubelet has a way to the runtime. The zero Kubelet connects to it.
type Kubelet struct {
	Proxy *url.URL // such as socks5://127.0.0.1:1080
}

// Config is for the clients of Kubernetes that are to take this way.
func (k Kubelet) Config() *rest.Config {
	return &rest.Config{Proxy: http.ProxyURL(k.Proxy)}
}

// stream runs the session at u until it ends.
func (k Kubelet) stream(ctx context.Context, u *url.URL, streams remotecommand.StreamOptions) error {
	executor, err := remotecommand.NewSPDYExecutor(k.Config(), http.MethodPost, u)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, streams)
}
