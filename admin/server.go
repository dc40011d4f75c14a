package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"exectape/session"

	"go.uber.org/zap"
)

// A Server answers. Its fields are set before it serves and not changed after.
type Server struct {
	Metrics  *Metrics
	Sessions func() []session.Summary // those that go on
	Log      *zap.Logger

	ready readiness
}

// NewServer returns a Server that is ready when checks pass.
func NewServer(metrics *Metrics, checks []Check, sessions func() []session.Summary, log *zap.Logger) *Server {
	return &Server{Metrics: metrics, Sessions: sessions, Log: log, ready: newReadiness(checks)}
}

// ServeTCP answers on a TCP address until ctx ends. Until the address can be
// had it tries again: another instance may have it.
func (s *Server) ServeTCP(ctx context.Context, address string) {
	mux := s.probes((&overheard{readiness: s.ready}).tell)
	mux.Handle("GET /metrics", s.Metrics.handler())
	s.serve(ctx, address, mux, func() (net.Listener, error) { return net.Listen("tcp", address) })
}

// ServeUnix answers on a Unix socket until ctx ends. Until it can be had it
// tries again.
func (s *Server) ServeUnix(ctx context.Context, path string) {
	mux := s.probes(s.ready.tell)
	mux.HandleFunc("GET /sessions", s.sessions)
	s.serve(ctx, path, mux, func() (net.Listener, error) { return ListenUnix(path) })
}

// probes has what is answered in both places. tell writes what there is to say of
// readiness.
func (s *Server) probes(tell func(io.Writer) (ready bool)) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, tell) })
	return mux
}

func readyz(w http.ResponseWriter, tell func(io.Writer) (ready bool)) {
	var lines bytes.Buffer
	ready := tell(&lines)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(lines.Bytes())
}

func (s *Server) sessions(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	for _, live := range s.Sessions() {
		if err := lines.Encode(live); err != nil {
			return // whoever asked has gone
		}
	}
}

// openAgain is how long to wait for a place that another instance has.
const openAgain = time.Second

// serve serves on what open returns. That it can't be opened is logged once for
// each reason.
func (s *Server) serve(ctx context.Context, place string, handler http.Handler, open func() (net.Listener, error)) {
	told := ""
	for {
		ln, err := open()
		if err == nil {
			s.Log.Info("answering", zap.String("addr", place))
			err = serveUntil(ctx, ln, handler)
		}
		if ctx.Err() != nil {
			return
		}
		if said := fmt.Sprint(err); said != told {
			told = said
			s.Log.Warn("not answering yet, to be tried again", zap.String("addr", place), zap.Error(err))
		}
		select {
		case <-time.After(openAgain):
		case <-ctx.Done():
			return
		}
	}
}

// serveUntil serves until ctx ends, or ln fails. It returns when the last
// request has been answered, or cut off.
func serveUntil(ctx context.Context, ln net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than the pause between two scrapes
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          zap.NewStdLog(zap.NewNop()), // of what clients do
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), openAgain)
		defer cancel()
		_ = server.Shutdown(soon)
	})
	err := server.Serve(newLimited(ln, maxConns))
	if stop() {
		close(stopped)
	}
	<-stopped
	_ = server.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
