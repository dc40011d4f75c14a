package e2e_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"testing"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

func TestAPortForwardWorksAndIsNotRecorded(t *testing.T) {
	byEachWay(t, func(t *testing.T, w way, e *exectape) {
		echo := listenAndEcho(t)
		local := w.forward(t, echo)
		// Two streams each, so that their ids outgrow a byte.
		for range 100 {
			conn := way{}.mustDial(t, local)
			sent := bytes.Repeat([]byte("naïve "), 5000)
			go func() { _, _ = conn.Write(sent) }() // or the answer lacks something
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(conn, got); err != nil {
				t.Fatal(err)
			}
			wantSame(t, "what the pod's port answered", got, sent)
			_ = conn.Close()
		}
		e.wantNothingRecorded()
	})
}

// forward forwards a local port to one of the shop's, as kubectl does, until
// the test's end.
func (w way) forward(t *testing.T, to netip.AddrPort) (local netip.AddrPort) {
	t.Helper()
	u, err := shop.PortForward(patiently(t), int32(to.Port()))
	if err != nil {
		t.Fatal(err)
	}
	transport, upgrader, err := spdy.RoundTripperFor(w.kubelet.Config())
	if err != nil {
		t.Fatal(err)
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	stop, ready := make(chan struct{}), make(chan struct{})
	ports := []string{"0:" + strconv.Itoa(int(to.Port()))}
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, ports, stop, ready, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	t.Cleanup(func() {
		close(stop)
		if err := <-ended; err != nil {
			t.Errorf("the port-forward ended: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	forwarded, err := forwarder.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), forwarded[0].Local)
}

// listenAndEcho listens on a port of the node's network, which is the shop's
// too, and sends back what comes.
func listenAndEcho(t *testing.T) netip.AddrPort {
	t.Helper()
	ln := listen(t)
	go func() {
		for {
			conn, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // until either side has had enough
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}
