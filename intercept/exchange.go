package intercept

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"exectape/session"
)

// exchanges follows the HTTP exchanges of one connection, heads and bodies, up
// to the first that is answered with a 101, whatever it looked like.
//
// Requests are let through one at a time: what a client pipelines behind one
// waits for its answer, because only the answer tells whether it is HTTP.
//
// Two goroutines: fromClient runs in the caller's, fromTarget in one that run
// starts and waits for.
type exchanges struct {
	client, target *wire
	timeout        time.Duration // for each head, of either side
	policy         session.Policy
	trace          func(*http.Request) session.Tracer

	asked   chan *http.Request  // the request that the target is to answer
	answers chan *http.Response // its answers, each after it was forwarded; a 101 before
	done    chan struct{}       // closed when fromTarget has ended
	gone    chan struct{}       // closed when fromClient has ended
}

// An upgrade is a 101 that was not forwarded yet, and what it answers.
type upgrade struct {
	request  *http.Request
	response *http.Response
	tracer   session.Tracer // has been told of nothing but the request
}

func (s *Server) follow(client, target *wire) (*upgrade, error) {
	x := &exchanges{
		client: client, target: target, timeout: s.HeadTimeout, policy: s.Policy, trace: s.trace,
		asked:   make(chan *http.Request, 1),
		answers: make(chan *http.Response),
		done:    make(chan struct{}),
		gone:    make(chan struct{}),
	}
	return x.run()
}

// run returns the upgrade, or nil and why there was none; io.EOF is an
// orderly end.
func (x *exchanges) run() (*upgrade, error) {
	var targetErr error
	go func() {
		defer close(x.done)
		targetErr = x.fromTarget()
		// Wakes fromClient, which may be waiting for a next request.
		_ = x.client.SetReadDeadline(time.Unix(1, 0))
	}()
	up, err := x.fromClient()
	close(x.gone)
	if up == nil {
		// Wakes fromTarget, unless it still has an answer to forward.
		_ = x.target.CloseWrite()
		_ = x.target.SetReadDeadline(time.Now().Add(x.timeout))
	}
	<-x.done
	switch {
	case up != nil:
		_ = x.client.SetReadDeadline(time.Time{})
		_ = x.target.SetReadDeadline(time.Time{})
		return up, nil
	case errors.Is(err, errTargetEnded) && targetErr != nil:
		return nil, targetErr
	default:
		return nil, err
	}
}

var errTargetEnded = errors.New("the target ended the connection")

// fromClient forwards requests until one is answered with a 101.
func (x *exchanges) fromClient() (*upgrade, error) {
	for afterPost := false; ; {
		req, err := x.nextRequest(afterPost)
		if err != nil {
			return nil, err
		}
		if x.policy == session.FailClosed && asksUpgrade(req) && unsure(req) && !isPortForward(req) {
			return nil, &unrecordable{errUnsure}
		}
		tracer := x.trace(req)
		tracer.Pass()
		resp, err := x.exchange(req)
		if err != nil {
			tracer.Close() // the target may have begun all the same
			return nil, err
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return &upgrade{req, resp, tracer}, nil
		}
		tracer.Refused()
		afterPost = req.Method == http.MethodPost
	}
}

func (x *exchanges) nextRequest(afterPost bool) (*http.Request, error) {
	_ = x.client.SetReadDeadline(time.Now().Add(x.timeout))
	if x.targetEnded() {
		return nil, errTargetEnded
	}
	req, err := x.client.request(afterPost)
	switch {
	case x.targetEnded():
		return nil, errTargetEnded
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, &badRequest{err}
	}
	_ = x.client.SetReadDeadline(time.Time{})
	return req, nil
}

func (x *exchanges) targetEnded() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// exchange forwards one request and returns its final answer.
func (x *exchanges) exchange(req *http.Request) (*http.Response, error) {
	x.asked <- req
	_ = x.target.SetReadDeadline(time.Now().Add(x.timeout))
	if err := x.client.forward(x.target); err != nil {
		return nil, fmt.Errorf("forward a request's head: %w", err)
	}
	held := sessionBeforeBody(req)
	if !held {
		if err := x.requestBody(req); err != nil {
			return nil, err
		}
	}
	for {
		resp, err := x.answer()
		if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
		if held {
			held = false
			if err := x.requestBody(req); err != nil {
				return nil, err
			}
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
	}
}

func (x *exchanges) answer() (*http.Response, error) {
	select {
	case resp := <-x.answers:
		return resp, nil
	case <-x.done:
		return nil, errTargetEnded
	}
}

func (x *exchanges) requestBody(req *http.Request) error {
	var body io.Reader = req.Body
	if asksUpgrade(req) && req.ContentLength < 0 {
		body = &limited{body, maxDropped}
	}
	if err := x.client.body(body, x.target); err != nil {
		return fmt.Errorf("forward a request's body: %w", err)
	}
	return nil
}

// fromTarget forwards answers until one is a 101.
func (x *exchanges) fromTarget() error {
	for {
		if _, err := x.target.br.Peek(1); err != nil {
			return err
		}
		req := x.outstanding()
		for final := false; !final; {
			resp, err := x.forwardAnswer(req)
			if err != nil {
				return err
			}
			final = resp.StatusCode >= 200
			if req == nil {
				continue // the target spoke unasked, such as a 408
			}
			select {
			case x.answers <- resp:
			case <-x.gone:
			}
			if resp.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
		}
	}
}

// outstanding returns the request that waits for an answer, or nil.
func (x *exchanges) outstanding() *http.Request {
	select {
	case req := <-x.asked:
		return req
	default:
		return nil
	}
}

var errUnasked = errors.New("the target answered 101 to no request")

// forwardAnswer reads one response's head and, unless it is a 101, forwards
// it, body and all.
func (x *exchanges) forwardAnswer(req *http.Request) (*http.Response, error) {
	resp, err := x.target.response(req)
	if err != nil {
		return nil, fmt.Errorf("read a response: %w", err)
	}
	_ = x.target.SetReadDeadline(time.Time{})
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if req == nil {
			return nil, errUnasked
		}
		return resp, nil
	}
	if err := x.target.forward(x.client); err != nil {
		return nil, fmt.Errorf("forward a response's head: %w", err)
	}
	if err := x.target.body(resp.Body, x.client); err != nil {
		_ = x.target.forward(x.client) // a body that is cut off is so for the client, too
		return nil, fmt.Errorf("forward a response's body: %w", err)
	}
	return resp, nil
}
