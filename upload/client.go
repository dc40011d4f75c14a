package upload

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 30 * time.Second // shorter than what servers have: they would close it under a request
	expectWait  = time.Second      // for an answer before the body
	expectFrom  = 64 << 10         // of the body's size
	maxHead     = 64 << 10         // of an answer
	sendBuffer  = 128 << 10        // of a connection: what is in there is not seen to be stuck
)

// A client sends files to one recorder. It follows no redirect, and keeps no
// cookie.
type client struct {
	base   *url.URL
	node   string
	files  credentialFiles
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	strict atomic.Bool // the recorder knows no Expect

	mu        sync.Mutex // guards what follows
	had       credentials
	transport *http.Transport // made for those
}

func newClient(c Config) *client {
	return &client{base: c.URL, node: c.Node, files: credentialFiles{c.TokenFile, c.CAFile, c.CertFile, c.KeyFile}, dial: dial}
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetWriteBuffer(sendBuffer)
	}
	return conn, err
}

// close closes the connections that are idle. There is no upload any more.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// put puts u where it belongs. Its error is a refusal if the answer is one that
// will stay.
func (c *client) put(ctx context.Context, u upload) error {
	w := newWatch(ctx)
	defer w.over()
	transport, token, err := c.prepare()
	if err != nil {
		return unreachable{err}
	}
	request, reached, err := c.request(w, u, token)
	if err != nil {
		return fmt.Errorf("PUT %s: %w", u.name, err)
	}
	answer, err := transport.RoundTrip(request)
	if err == nil {
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode == http.StatusExpectationFailed {
			c.strict.Store(true)
		}
		if err = judge(u.name, answer); err == nil && !w.tookAll() {
			err = fmt.Errorf("PUT %s: %s, before all of it was sent", u.name, answer.Status)
		}
		return err
	}
	if errors.Is(context.Cause(w.ctx), errStalled) {
		err = errStalled
	}
	err = fmt.Errorf("PUT %s: %w", u.name, err)
	if !reached.Load() {
		return unreachable{err}
	}
	return err
}

// request makes a request whose body w watches. It is reached when there is a
// connection for it.
func (c *client) request(w *watch, u upload, token string) (r *http.Request, reached *atomic.Bool, err error) {
	reached = new(atomic.Bool)
	ctx := httptrace.WithClientTrace(w.ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached.Store(true) }})
	where := strings.TrimRight(c.base.String(), "/") + "/" + url.PathEscape(u.name)
	if r, err = http.NewRequestWithContext(ctx, http.MethodPut, where, nil); err != nil {
		return nil, nil, err
	}
	body := func() (io.ReadCloser, error) {
		body, err := u.body()
		if err != nil {
			return nil, err
		}
		return w.watched(body, u.size), nil
	}
	if r.Body, err = body(); err != nil {
		return nil, nil, err
	}
	if u.size != unknown { // else it may be had only once
		r.GetBody = body
	}
	r.ContentLength = u.size
	r.Header.Set("User-Agent", "exectape")
	r.Header.Set("Content-Type", u.mediaType)
	if c.node != "" {
		r.Header.Set("Exectape-Node", url.PathEscape(c.node)) // a host's name can be any bytes
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	// Who is to be refused is told before all of it was sent.
	if (u.size == unknown || u.size >= expectFrom) && !c.strict.Load() {
		r.Header.Set("Expect", "100-continue")
	}
	return r, reached, nil
}

// prepare returns what a request takes, by what the files say now.
func (c *client) prepare() (*http.Transport, string, error) {
	now, token, err := c.files.read()
	if err != nil {
		return nil, "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil && now.equal(c.had) {
		return c.transport, token, nil
	}
	config, err := now.tls(c.files)
	if err != nil {
		return nil, "", err
	}
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.had, c.transport = now, newTransport(config, c.dial)
	return c.transport, token, nil
}

func newTransport(config *tls.Config, dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // so that no upload shares a connection with another
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		ExpectContinueTimeout:  expectWait,
		MaxResponseHeaderBytes: maxHead,
		MaxIdleConnsPerHost:    workers,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,
		Protocols:              &protocols,
	}
}

// proxy returns the one that the environment names. What is mistaken there is not
// repeated: it may have a password in it.
func proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the proxy that the environment names is no URL; set HTTP_PROXY or HTTPS_PROXY as in http://127.0.0.1:3128, or unset it")
	}
	return u, nil
}
