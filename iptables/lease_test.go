package iptables

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestALeasedRuleHoldsOnlyWhileTheLeaseIsFresh(t *testing.T) {
	everywhere(t, func(t test) {
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, t.cfg.Port), "exectape")
		t.cfg.Lease = time.Minute
		t.apply()
		t.wantAnswer("before the lease was ever renewed", target, "the target")
		t.lease()
		t.wantAnswer("with a lease", target, "exectape")

		t.cfg.Lease = time.Second
		t.apply()
		t.wantLapse(target)
		t.cfg.Lease = time.Minute
		t.apply()
		t.lease()
		t.wantAnswer("with another lease", target, "exectape")
	})
}

func TestALeaseIsOnlyThatOfThePortItNames(t *testing.T) {
	everywhere(t, func(t test) {
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, t.cfg.Port), "exectape")
		t.cfg.Lease = time.Minute
		t.apply()
		another := t.cfg
		another.Port++
		if err := another.Renew(); err == nil || !strings.Contains(err.Error(), "renew the lease on connections to "+t.loopback.String()) {
			t.Errorf("the lease of a port that no rule leads to: error %v", err)
		}
		t.wantAnswer("with another port's lease", target, "the target")
	})
}

func TestRulesThatAreWrittenAnewKeepTheirLease(t *testing.T) {
	everywhere(t, func(t test) {
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, t.cfg.Port), "exectape")
		t.cfg.Lease = time.Minute
		t.apply()
		t.lease()
		t.cfg.Targets = append(t.cfg.Targets, netip.AddrPortFrom(t.loopback, target.Port()+1))
		t.apply()
		t.wantAnswer("after a target was added", target, "exectape")
	})
}

func TestRulesThatSomebodyRemovedComeBackWithoutALease(t *testing.T) {
	everywhere(t, func(t test) {
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, t.cfg.Port), "exectape")
		t.cfg.Lease = time.Minute
		t.apply()
		t.lease()
		t.tamper(t.T, "nat", "-F EXECTAPE")
		if err := t.cfg.Renew(); err == nil {
			t.Error("a lease without a rule was renewed")
		}
		t.apply()
		t.wantAnswer("before the lease was renewed", target, "the target")
		t.lease()
		t.wantAnswer("and after", target, "exectape")
	})
}

// The families' lists are apart, because one that both used would work for the
// one only whose rule was first.
func TestBothFamiliesCanBeLeasedAtOnce(t *testing.T) {
	everywhere(t, func(t test) {
		t.cfg.Targets = targets("127.0.0.1:34567 [::1]:34567")
		t.cfg.Lease = time.Minute
		for _, target := range t.cfg.Targets {
			listen(t, target, "the target")
			listen(t, netip.AddrPortFrom(target.Addr(), t.cfg.Port), "exectape")
		}
		t.apply()
		t.lease()
		for _, target := range t.cfg.Targets {
			t.wantAnswer("with leases on both", target, "exectape")
		}
	})
}

// An iptables-restore that fails as the real one does where the kernel lacks
// the module.
const noModule = `#!/bin/sh
echo "Warning: Extension recent revision 0 not supported, missing kernel module?" >&2
exit 4
`

func TestAKernelWithoutTheModuleIsNamedInTheError(t *testing.T) {
	everywhere(t, func(t test) {
		// Without the module the directory of lists is missing, too.
		if err := unix.Mount("tmpfs", "/proc/self/net", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/proc/self/net/if_inet6", nil, 0o444); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, family := range families {
			if err := os.WriteFile(dir+"/"+family.command()+"-"+t.backend.String()+"-restore", []byte(noModule), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		t.tables = mustNew(t.T, t.backend)
		t.cfg.Lease = 3 * time.Second
		err := t.tables.Apply(t.Context(), t.cfg)
		if err == nil || !strings.HasPrefix(err.Error(), errNoLeases.Error()) || !strings.Contains(err.Error(), "missing kernel module?") {
			t.Errorf("error %v", err)
		}
		if now := dump(t); strings.Contains(now, Chain) {
			t.Errorf("rules were set:\n%s", now)
		}
	})
}

func (t test) lease() {
	t.Helper()
	if err := t.cfg.Renew(); err != nil {
		t.Fatal(err)
	}
}

// wantLapse waits until exectape has a target's connections no more.
func (t test) wantLapse(target netip.AddrPort) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if answer(t, dial(t, target, 0)) == "the target" {
			return
		}
	}
	t.Error("the lease does not lapse")
}
