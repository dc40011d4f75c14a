package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"exectape/e2e/kubelet"
)

// much is how often something is done that anyone on a node may do as often as
// he likes, as far as there are descriptors for it.
func much(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return int(min(10_000, limit.Cur*9/10))
}

// quietMemory is what a connection may cost that says nothing. Under the race
// detector a goroutine takes several times its size.
const quietMemory = 48 << 10

func TestTenThousandSilentConnectionsDoNoHarm(t *testing.T) {
	needsNode(t)
	const most = 5_000 // of them, at once
	for _, w := range []way{byNFT, bySOCKS5} {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, "EXECTAPE_HEAD_TIMEOUT=5s")...)
			descriptors := e.descriptors()
			before := e.memory()
			silent := w.connectOften(t, much(t))
			if grown := e.descriptors() - descriptors; grown > most {
				t.Errorf("%d silent connections hold %d of exectape's descriptors", len(silent), grown)
			}

			got := once(kubelet.Process{Command: []string{"echo", "meanwhile"}})(t, w.kubelet)
			wantSame(t, "the stdout of a session meanwhile", got.stdout, []byte("meanwhile\n"))
			e.recorded().wantAnswer(got)

			if grown := e.peakMemory() - before; grown > most*quietMemory {
				t.Errorf("%d silent connections took %d MiB", len(silent), grown>>20)
			}
			for _, conn := range silent {
				wantGone(t, conn)
			}
		})
	}
}

// wantGone waits for the other side to end conn.
func wantGone(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("a silent connection: %v; want its end", err)
	}
}

// connectOften opens connections that lead to the streaming server, and says
// nothing on them. They come from several addresses, each of which has ports of
// its own.
func (w way) connectOften(t *testing.T, times int) []*net.TCPConn {
	t.Helper()
	to := net.TCPAddrFromAddrPort(streamingServer)
	if w.kubelet.Proxy != nil {
		to = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(w.kubelet.Proxy.Host))
	}
	all := make([]*net.TCPConn, 0, times)
	t.Cleanup(func() {
		for _, conn := range all {
			_ = conn.Close()
		}
	})
	for i := range times {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%8))}}
		conn, err := d.DialContext(patiently(t), "tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn.(*net.TCPConn))
	}
	return all
}

func TestATargetSeesNothingOfAConnectionBeforeItsFirstByte(t *testing.T) {
	needsNode(t)
	target := listen(t)
	for _, w := range []way{byNFT, byLegacy} {
		t.Run(w.name, func(t *testing.T) {
			start(t, append(w.env, "EXECTAPE_TARGETS="+target.Addr().String())...)
			to := target.Addr().(*net.TCPAddr).AddrPort()
			w.mustDial(t, to)
			request := fmt.Sprintf("GET /%s HTTP/1.1\r\n\r\n", t.Name())
			say(t, w.mustDial(t, to), request)
			hear(t, accept(t, target), request)
		})
	}
}
