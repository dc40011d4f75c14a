package iptables

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// elder and younger are two instances' rules for the same target.
func twoInstances(t test) (elder, younger Config) {
	elder, younger = t.cfg, t.cfg
	elder.Generation = 7
	younger.Port, younger.Generation = elder.Port+1, 8
	return elder, younger
}

func TestAYoungerInstanceComesBehindTheElderAndThenInItsPlace(t *testing.T) {
	everywhere(t, func(t test) {
		settle(t)
		elder, younger := twoInstances(t)
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, elder.Port), "the elder")
		listen(t, netip.AddrPortFrom(t.loopback, younger.Port), "the younger")
		t.cfg = elder
		t.apply()
		whole := dump(t)
		t.wantAnswer("at first", target, "the elder")

		t.cfg = younger
		t.cfg.Behind = []Instance{elder.Instance()}
		t.apply()
		t.wantProblems("with the younger behind the elder")
		t.wantAnswer("with the younger behind the elder", target, "the elder")
		view, err := t.tables.Look(t.Context(), elder)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Instance{younger.Instance(), elder.Instance()}, view.Instances); diff != "" {
			t.Errorf("the instances: -want +got:\n%s", diff)
		}
		t.cfg = younger
		t.apply()
		t.wantAnswer("with the younger alone", target, "the younger")

		t.cfg = elder
		t.apply()
		if diff := cmp.Diff(whole, dump(t)); diff != "" {
			t.Errorf("-at first +when the elder has taken back:\n%s", diff)
		}
	})
}

// The elder had targets of both families, the younger has none of this one.
func TestRulesThatAreLeftForOpenConnectionsAreNobodys(t *testing.T) {
	everywhere(t, func(t test) {
		elder, younger := twoInstances(t)
		t.cfg = elder
		t.apply()
		t.cfg = younger
		t.cfg.Targets, t.cfg.Live = nil, true
		t.apply()
		view, err := t.tables.Look(t.Context(), t.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if len(view.Instances) > 0 || len(view.Problems) > 0 {
			t.Errorf("there are %v; %v", view.Instances, view.Problems)
		}
	})
}

func TestTheYoungersLeaseIsNotNeededWhileTheEldersHolds(t *testing.T) {
	everywhere(t, func(t test) {
		elder, younger := twoInstances(t)
		target := t.cfg.Targets[0]
		listen(t, target, "the target")
		listen(t, netip.AddrPortFrom(t.loopback, elder.Port), "the elder")
		listen(t, netip.AddrPortFrom(t.loopback, younger.Port), "the younger")
		elder.Lease, younger.Lease = time.Minute, time.Minute
		t.cfg = elder
		t.apply()
		t.lease()
		t.cfg = younger
		t.cfg.Behind = []Instance{elder.Instance()}
		t.apply()
		t.wantAnswer("before the younger's lease", target, "the elder")
		t.lease()
		t.wantAnswer("with both leases", target, "the elder")
		t.cfg = younger
		t.apply()
		t.wantAnswer("with the younger alone", target, "the younger")
	})
}

func TestAnElderRemovesNothingOfAYounger(t *testing.T) {
	everywhere(t, func(t test) {
		elder, younger := twoInstances(t)
		t.cfg = younger
		t.apply()
		whole := dump(t)
		if err := t.tables.RemoveJump(t.Context(), elder.Generation); err != nil {
			t.Error(err)
		}
		if err := t.tables.RemoveChain(t.Context(), elder.Generation); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(whole, dump(t)); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
		if err := t.tables.RemoveChain(t.Context(), younger.Generation); err != nil {
			t.Error(err)
		}
		if now := dump(t); strings.Contains(now, Chain) {
			t.Errorf("something is left:\n%s", now)
		}
	})
}

func TestOnlyARuleOfOursHasAnInstance(t *testing.T) {
	c := renderings["generation"]
	for _, rule := range append(c.Rules(IPv4), c.jump()) {
		if i, ok := instanceOf(rule.String()); !ok || i != c.Instance() {
			t.Errorf("%s: instance %v, %t", rule, i, ok)
		}
	}
	for _, rule := range []string{
		renderings["ipv4"].jump().String(),
		`-p tcp -m comment --comment "somebody (instance 1, generation 2)" -j EXECTAPE`,
		`-p tcp -m comment --comment "exectape: x (instance 70000, generation 2)" -j EXECTAPE`,
		`-p tcp -m comment --comment "exectape: x (instance 1, generation 99999999999999999999999)" -j EXECTAPE`,
	} {
		if i, ok := instanceOf(rule); ok {
			t.Errorf("%s: instance %v", rule, i)
		}
	}
}

func TestTheYoungestInstanceIsFirst(t *testing.T) {
	all := []Instance{{1015, 3}, {1016, 9}, {1015, 9}, {1016, 1}}
	youngestFirst(all)
	if want := []Instance{{1016, 9}, {1015, 9}, {1015, 3}, {1016, 1}}; !slices.Equal(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
}
