package targets

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// How the listeners of runtimes answer was tried with containerd 1.6.20 and 2.4.2
// and k8s.io/cri-streaming 0.37.2, and read in the sources of CRI-O 1.37,
// cri-dockerd and conmon-rs 1.0.1 of 2026. The first three have
// cri-streaming, or an older copy of it; conmon-rs has axum.
//
//	                          GET, to upgrade   DELETE
//	streaming server          404               405
//	conmon-rs's               404               405
//	metrics, debug, pprof     404               404
//	gRPC                      no HTTP/1
//
// A token that is not known is 404 to them before they look at anything else;
// conmon-rs first wants the upgrade, and a UUID. So a GET alone says nothing:
// net/http's answer to what is not there is the same to the letter. Of the other
// method the router says that the path has none such, and no handler, which
// could use up a token, is called.

// noToken is none: those of cri-streaming have eight characters, and those of
// conmon-rs are random UUIDs, which this isn't.
const noToken = "00000000-0000-0000-0000-000000000000"

// prefixes are what stands before "/exec/": cri-dockerd has a "/cri".
var prefixes = []string{"", "/cri"}

const (
	askTimeout   = 2 * time.Second // for one answer
	maxHeadBytes = 16 << 10        // of one
)

// An asker asks listeners what they are.
type asker struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// errTLS is what net/http's answer to a plain request over TLS means.
var errTLS = errors.New("it wants TLS")

// ask returns nil if addr behaves as a streaming server does, and else how it
// does.
func (a asker) ask(ctx context.Context, addr netip.AddrPort) error {
	err := a.askBy(ctx, plain, addr)
	if errors.Is(err, errTLS) {
		err = a.askBy(ctx, overTLS, addr)
	}
	return err
}

func (a asker) askBy(ctx context.Context, by transport, addr netip.AddrPort) (err error) {
	for _, prefix := range prefixes {
		err = a.isStreaming(ctx, by, addr, prefix+"/exec/"+noToken)
		if !errors.As(err, new(*otherAnswer)) {
			return err
		}
	}
	return err
}

// isStreaming returns nil if path is that of a session which is not known.
func (a asker) isStreaming(ctx context.Context, by transport, addr netip.AddrPort, path string) error {
	for _, question := range []struct {
		method string
		want   int
	}{
		{http.MethodGet, http.StatusNotFound},
		{http.MethodDelete, http.StatusMethodNotAllowed},
	} {
		request, err := http.NewRequestWithContext(ctx, question.method, "http://"+addr.String()+path, nil)
		if err != nil {
			return err
		}
		if question.method == http.MethodGet {
			askToUpgrade(request)
		}
		response, err := a.exchange(by, addr, request)
		switch {
		case errors.Is(err, errCertificate):
			return nil
		case err != nil:
			return err
		case response.StatusCode == http.StatusBadRequest && response.ProtoMinor == 0:
			return errTLS
		case response.StatusCode != question.want:
			return &otherAnswer{request, response.StatusCode, question.want}
		}
	}
	return nil
}

// exchange returns the head of the answer to request. It has no need of an
// http.Client, which would log what a stranger says unasked.
func (a asker) exchange(by transport, addr netip.AddrPort, request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), askTimeout)
	defer cancel()
	raw, err := a.dial(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	defer raw.Close()
	conn, err := by(ctx, raw)
	if err != nil {
		return nil, err
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxHeadBytes)), request)
	if err != nil {
		return nil, err
	}
	return response, response.Body.Close() // nothing in it matters
}

// A transport is what HTTP is spoken over.
type transport func(context.Context, net.Conn) (net.Conn, error)

func plain(_ context.Context, conn net.Conn) (net.Conn, error) { return conn, nil }

// errCertificate says that clients are verified, as CRI-O's streaming server can
// be told to do, and nothing else of a runtime.
var errCertificate = errors.New("it asks for a certificate")

// overTLS verifies nobody, because nobody is told anything: whoever it is has
// the runtime's socket.
func overTLS(ctx context.Context, conn net.Conn) (net.Conn, error) {
	secure := tls.Client(conn, &tls.Config{
		InsecureSkipVerify:   true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, errCertificate },
	})
	return secure, secure.HandshakeContext(ctx)
}

// An otherAnswer is one that a streaming server does not give.
type otherAnswer struct {
	request   *http.Request
	got, want int
}

func (e *otherAnswer) Error() string {
	return fmt.Sprintf("it answers %s %s with %d, a streaming server does with %d", e.request.Method, e.request.URL.Path, e.got, e.want)
}

// askToUpgrade makes of r the opening of a WebSocket: RFC 6455, 1.3.
func askToUpgrade(r *http.Request) {
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "ZXhlY3RhcGUgYXNrcyBpdA==") // 16 bytes that nothing depends on
}
