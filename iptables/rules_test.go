package iptables

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// renderings are the cases that have a golden file of that name. What becomes
// of them in a kernel is seen in TestTheKernelKeepsTheRulesAsTheyAreRendered.
var renderings = map[string]Config{
	"ipv4": {
		Targets: targets("127.0.0.1:34567"), Port: 1015, Mark: Mark{0x2000, 0x2000},
	},
	"ipv6": {
		Targets: targets("[::1]:34567"), Port: 1015, Mark: Mark{0x2000, 0x2000},
	},
	"several-targets-in-any-order": {
		Targets: targets("[fd00:0:0:1::7]:10010 10.1.2.3:10010 127.0.0.1:40000 127.0.0.1:34567 10.1.2.3:10010 [::1]:34567 [fe80::1]:65535"),
		Port:    1016, Mark: Mark{0x2000, 0x2000},
	},
	"mark-without-mask": {
		Targets: targets("127.0.0.1:34567 [::1]:34567"), Port: 1015, Mark: Mark{0xcafe, 0xffffffff},
	},
	"leased": {
		Targets: targets("127.0.0.1:34567 10.1.2.3:10010 [::1]:34567"), Port: 1015, Mark: Mark{0x2000, 0x2000}, Lease: 3 * time.Second,
	},
	"generation": {
		Targets: targets("127.0.0.1:34567 [::1]:34567"), Port: 1016, Mark: Mark{0x2000, 0x2000}, Lease: 3 * time.Second, Generation: 86400123,
	},
	"no-target": {Port: 1015, Mark: Mark{0x2000, 0x2000}},
}

func targets(list string) []netip.AddrPort {
	var all []netip.AddrPort
	for target := range strings.FieldsSeq(list) {
		all = append(all, netip.MustParseAddrPort(target))
	}
	return all
}

func TestRenderingsAreThoseOfTheGoldenFiles(t *testing.T) {
	for name, cfg := range renderings {
		t.Run(name, func(t *testing.T) {
			got := "# IPv4\n" + Render(cfg, IPv4) + "# IPv6\n" + Render(cfg, IPv6)
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; write it with go test -run %s -update", err, t.Name())
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-golden +rendered:\n%s", diff)
			}
		})
	}
}

func TestEveryRuleSaysWhoseItIs(t *testing.T) {
	for name, cfg := range renderings {
		for _, family := range families {
			for _, rule := range append(cfg.Rules(family), cfg.jump()) {
				if text := rule.String(); !strings.Contains(text, ` -m comment --comment "exectape: `) {
					t.Errorf("%s: no comment of ours: %s", name, text)
				}
			}
		}
	}
}
