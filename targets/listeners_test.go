package targets

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const columns4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestListenersAreReadAsTheKernelPrintsThem(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the rows are those of a machine with another byte order")
	}
	for _, test := range []struct {
		name string
		rows string
		want []listener
	}{
		{"none", "", nil},
		{"loopback and wildcard",
			"   0: 0100007F:8707 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28711 1 0000000000000000 100 0 0 10 0\n" +
				"   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 30012 1 0000000000000000 100 0 0 10 0\n",
			[]listener{
				{netip.MustParseAddrPort("127.0.0.1:34567"), 0, 28711},
				{netip.MustParseAddrPort("0.0.0.0:8080"), 1000, 30012},
			}},
		{"IPv6, and IPv4 that is mapped into it",
			"   0: 00000000000000000000000001000000:8707 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28712 1 0000000000000000 100 0 0 10 0\n" +
				"   1: 0000000000000000FFFF00000100007F:8708 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28713 1 0000000000000000 100 0 0 10 0\n" +
				"   2: 0000000000000000FFFF000000000000:8709 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28714 1 0000000000000000 100 0 0 10 0\n",
			[]listener{
				{netip.MustParseAddrPort("[::1]:34567"), 0, 28712},
				{netip.MustParseAddrPort("127.0.0.1:34568"), 0, 28713},
				{netip.MustParseAddrPort("0.0.0.0:34569"), 0, 28714},
			}},
		{"connections, which come behind",
			"   0: 0100007F:8707 0100007F:C350 03 00000000:00000000 01:00000064 00000000     0        0 0 1 0000000000000000\n" +
				"   1: 0100007F:8707 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28711 1 0000000000000000 100 0 0 10 0\n" +
				"   2: 0100007F:8707 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 28720 1 0000000000000000 20 4 30 10 -1\n" +
				"   3: not read any more\n",
			[]listener{{netip.MustParseAddrPort("127.0.0.1:34567"), 0, 28711}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseListeners(strings.NewReader(columns4 + test.rows))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("listeners = %v, want %v", got, test.want)
			}
		})
	}
}

func TestARowThatCannotBeReadIsAnError(t *testing.T) {
	for _, row := range []string{
		"   0: 0100007F:8707 00000000:0000 0A",
		"   0: 0100007:8707 00000000:0000 0A 0:0 0:0 0 0 0 28711 1",
		"   0: 0100007F 00000000:0000 0A 0:0 0:0 0 0 0 28711 1",
		"   0: 0100007F0100007F:8707 00000000:0000 0A 0:0 0:0 0 0 0 28711 1",
		"   0: 0100007F:8707 00000000:0000 0A 0:0 0:0 0 root 0 28711 1",
		"   0: 0100007F:8707 00000000:0000 0A 0:0 0:0 0 0 0 socket 1",
	} {
		if got, err := parseListeners(strings.NewReader(columns4 + row + "\n")); err == nil {
			t.Errorf("%q is read as %v, want an error", row, got)
		}
	}
}

// The kubelet dials what the runtime's listener says of itself, and the kernel
// makes a loopback address of a wildcard.
func TestAWildcardIsReachedByTheLoopbacks(t *testing.T) {
	for bound, want := range map[string][]netip.AddrPort{
		"127.0.0.1:34567":   addrs("127.0.0.1:34567"),
		"10.1.2.3:34567":    addrs("10.1.2.3:34567"),
		"[fd00::7]:34567":   addrs("[fd00::7]:34567"),
		"0.0.0.0:34567":     addrs("127.0.0.1:34567"),
		"[::]:34567":        addrs("127.0.0.1:34567", "[::1]:34567"),
		"[::1]:34567":       addrs("[::1]:34567"),
		"192.168.0.1:65535": addrs("192.168.0.1:65535"),
	} {
		got := listener{addr: netip.MustParseAddrPort(bound)}.reached()
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s is reached by (-want +got):\n%s", bound, diff)
		}
	}
}
