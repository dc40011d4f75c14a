// Package kubelet opens sessions as a kubelet does: with a client of
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

	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // deprecated, and what client-go's executor takes
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// A Kubelet has a way to the runtime. The zero Kubelet connects to it.
type Kubelet struct {
	Proxy     *url.URL // such as socks5://127.0.0.1:1080
	WebSocket string   // the subprotocol to speak over WebSocket; "": SPDY
}

// Config is for the clients of Kubernetes that are to take this way.
func (k Kubelet) Config() *rest.Config {
	return &rest.Config{Proxy: http.ProxyURL(k.Proxy)}
}

// stream runs the session at u until it ends.
func (k Kubelet) stream(ctx context.Context, u *url.URL, streams remotecommand.StreamOptions) error {
	if k.WebSocket != "" {
		executor, err := remotecommand.NewWebSocketExecutorForProtocols(k.Config(), http.MethodGet, u.String(), k.WebSocket)
		if err != nil {
			return err
		}
		return executor.StreamWithContext(ctx, streams)
	}
	// Without pings: the streaming server closes its connection as soon as it has
	// written the last of an output, and a ping that comes then, while that is
	// still on its way, has the kernel answer with a reset, which drops the rest.
	// Kubernetes' own clients, which ping every five seconds, lose it.
	transport, err := spdy.NewRoundTripperWithConfig(spdy.RoundTripperConfig{Proxier: http.ProxyURL(k.Proxy)})
	if err != nil {
		return err
	}
	executor, err := remotecommand.NewSPDYExecutorForTransports(transport, transport, http.MethodPost, u)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, streams)
}
