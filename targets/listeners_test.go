package targets

import (
	"net/netip"
	"slices"
	"testing"
)

// The kubelet dials what the runtime's listener says of itself, and the kernel
// makes a loopback address of a wildcard.
func TestAWildcardIsReachedByTheLoopbacks(t *testing.T) {
	for _, test := range []struct {
		bound string
		only6 bool
		want  []netip.AddrPort
	}{
		{"127.0.0.1:34567", false, addrs("127.0.0.1:34567")},
		{"10.1.2.3:34567", false, addrs("10.1.2.3:34567")},
		{"[fd00::7]:34567", true, addrs("[fd00::7]:34567")},
		{"0.0.0.0:34567", false, addrs("127.0.0.1:34567")},
		{"[::]:34567", false, addrs("127.0.0.1:34567", "[::1]:34567")},
		{"[::]:34567", true, addrs("[::1]:34567")},
		{"[::1]:34567", true, addrs("[::1]:34567")},
		{"192.168.0.1:65535", false, addrs("192.168.0.1:65535")},
	} {
		l := listener{addr: netip.MustParseAddrPort(test.bound), only6: test.only6}
		if got := l.reached(); !slices.Equal(got, test.want) {
			t.Errorf("%v is reached by %v, want %v", l, got, test.want)
		}
		for _, addr := range test.want {
			if !l.takes(addr) {
				t.Errorf("%v does not take what comes to %v", l, addr)
			}
		}
	}
}
