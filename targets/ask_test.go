package targets

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"net/netip"
	"strings"
	"testing"
)

// criStreaming routes as k8s.io/cri-streaming does, below prefix.
func criStreaming(prefix string) http.Handler {
	mux := http.NewServeMux()
	for _, verb := range []string{"exec", "attach", "portforward"} {
		for _, method := range []string{"GET", "POST"} {
			mux.HandleFunc(method+" "+prefix+"/"+verb+"/{token}", http.NotFound)
		}
	}
	return mux
}

// conmonRS answers as axum does for conmon-rs: before it looks for a token there
// must be an upgrade to WebSocket, and then a UUID.
func conmonRS() http.Handler {
	mux := http.NewServeMux()
	handle := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-WebSocket-Key") == "" || len(r.PathValue("token")) != 36 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}
	for _, verb := range []string{"exec", "attach", "port-forward"} {
		mux.HandleFunc("GET /"+verb+"/{token}", handle)
		mux.HandleFunc("POST /"+verb+"/{token}", handle)
	}
	return mux
}

func metrics() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/metrics", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	return mux
}

func always(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://192.0.2.1/")
		w.WriteHeader(code)
	})
}

func TestStreamingServersAreToldFromOthersByWhatTheyAnswer(t *testing.T) {
	open := func(h http.Handler) *httptest.Server { return httptest.NewServer(h) }
	unstarted := func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // it has much to say of how it is asked
		return s
	}
	secure := func(h http.Handler) *httptest.Server {
		s := unstarted(h)
		s.StartTLS()
		return s
	}
	verifying := func(h http.Handler) *httptest.Server {
		s := unstarted(h)
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}
		s.StartTLS()
		return s
	}
	for _, test := range []struct {
		name      string
		server    *httptest.Server
		streaming bool
	}{
		{"containerd's and CRI-O's", open(criStreaming("")), true},
		{"cri-dockerd's", open(criStreaming("/cri")), true},
		{"conmon-rs's", open(conmonRS()), true},
		{"containerd's and CRI-O's over TLS", secure(criStreaming("")), true},
		{"CRI-O's that verifies its clients", verifying(criStreaming("")), true},
		{"metrics and pprof", open(metrics()), false},
		{"metrics over TLS", secure(metrics()), false},
		{"what is content with anything", open(always(http.StatusOK)), false},
		{"what knows nothing", open(always(http.StatusNotFound)), false},
		{"what allows nothing", open(always(http.StatusMethodNotAllowed)), false},
		{"what sends elsewhere", open(always(http.StatusFound)), false},
		{"what wants no requests", open(always(http.StatusBadRequest)), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			defer test.server.Close()
			addr := netip.MustParseAddrPort(test.server.Listener.Addr().String())
			err := asker{new(net.Dialer).DialContext}.ask(t.Context(), addr)
			if (err == nil) != test.streaming {
				t.Errorf("it is asked, with the result %v; want that it is a streaming server: %v", err, test.streaming)
			}
		})
	}
}

func TestWhoeverSpeaksNoHTTPIsNoStreamingServer(t *testing.T) {
	for name, says := range map[string]string{
		"closes at once":      "",
		"gRPC":                "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00",
		"an endless head":     "HTTP/1.1 404 Not Found\r\n" + strings.Repeat("X: y\r\n", maxHeadBytes),
		"a head of no answer": "GET / HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Write([]byte(says)) // it need not be read
					_ = conn.Close()
				}
			}()
			defer func() { _ = ln.Close(); <-done }()
			if err := (asker{new(net.Dialer).DialContext}).ask(t.Context(), netip.MustParseAddrPort(ln.Addr().String())); err == nil {
				t.Error("it is taken for a streaming server")
			}
		})
	}
}
