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
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			w.tracked(t)
			target, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			start(t, append(w.env, "EXECTAPE_TARGETS="+target.Addr().String())...)
			for {
				own, err := reached(t, target, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					t.Fatal(err)
				}
				if own.IP.Equal(net.IPv4(127, 0, 0, 1)) {
					t.Errorf("exectape's own connection began at %v, where a kubelet's can", own)
				}
				kubelet := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: own.Port}
				from, err := reached(t, target, kubelet)
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

// reached connects to target from an address, and returns from where that sees
// it come, or why there could be no connection. The target resets what it has
// accepted.
func reached(t *testing.T, target *net.TCPListener, from *net.TCPAddr) (*net.TCPAddr, error) {
	t.Helper()
	conn, err := net.DialTCP("tcp4", from, target.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: node\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	accepted, err := target.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	_ = accepted.SetLinger(0)
	if err := accepted.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Read(make([]byte, 1)) // until the reset has come
	return accepted.RemoteAddr().(*net.TCPAddr), nil
}
