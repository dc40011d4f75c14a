package e2e_test

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection of exectape's own that its target has reset is remembered by
// connection tracking. A kubelet that is given the same port within ten seconds
// would go the same way, unrecorded.
func TestAPortThatExectapeHadLeadsAKubeletToItAllTheSame(t *testing.T) {
	needsNode(t)
	loopback := net.IPv4(127, 0, 0, 1)
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			w.tracked(t)
			target := startResetter(t, loopback)
			start(t, append(w.env, "EXECTAPE_TARGETS="+target.Addr().String())...)
			for {
				_, own, err := target.reach(t, &net.TCPAddr{IP: loopback})
				if err != nil {
					t.Fatal(err)
				}
				if own.IP.Equal(loopback) {
					t.Errorf("exectape's own connection began at %v, where a kubelet's can", own)
				}
				kubelet := &net.TCPAddr{IP: loopback, Port: own.Port}
				_, from, err := target.reach(t, kubelet)
				if errors.Is(err, unix.EADDRINUSE) {
					continue // an earlier test had that port, and it still waits
				}
				if err != nil {
					t.Fatal(err)
				}
				if from.String() == kubelet.String() {
					t.Errorf("the kubelet's connection from %v reached the target past exectape", kubelet)
				}
				break
			}
		})
	}
}

// IPv6 has one loopback address, so that exectape and kubelet both begin there.
func TestAKubeletIsNotGivenAPortThatExectapeHad(t *testing.T) {
	needsNode(t)
	target := startResetter(t, net.IPv6loopback)
	start(t, append(byNFT.env, "EXECTAPE_TARGETS="+target.Addr().String())...)
	for range 64 { // by chance, one of two
		kubelet, own, err := target.reach(t, nil)
		if err != nil {
			t.Fatal(err)
		}
		if kubelet.Port == own.Port {
			t.Fatalf("the kubelet's connection from %v reached the target past exectape", kubelet)
		}
		if kubelet.Port%2 == own.Port%2 {
			t.Fatalf("exectape's own connection began at %v, and the kubelet's at %v: they take from the same ports", own, kubelet)
		}
	}
}

// A resetter is a target that resets what it has accepted.
type resetter struct{ *net.TCPListener }

func startResetter(t *testing.T, at net.IP) resetter {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return resetter{listener}
}

// reach connects to r, from an address or from where the kernel likes. It
// returns where the connection began, and where the one that r has accepted, or
// why there could be no connection.
func (r resetter) reach(t *testing.T, at *net.TCPAddr) (kubelet, own *net.TCPAddr, err error) {
	t.Helper()
	conn, err := net.DialTCP("tcp", at, r.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: node\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	accepted := accept(t, r.TCPListener)
	_ = accepted.SetLinger(0)
	if err := accepted.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Read(make([]byte, 1)) // until the reset has come
	return conn.LocalAddr().(*net.TCPAddr), accepted.RemoteAddr().(*net.TCPAddr), nil
}
