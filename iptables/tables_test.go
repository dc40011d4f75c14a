package iptables

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestApplyTwiceIsApplyOnce(t *testing.T) {
	everywhere(t, func(t test) {
		settle(t)
		t.apply()
		once := dump(t)
		if !strings.Contains(once, t.cfg.jump().String()) {
			t.Fatalf("no jump after Apply:\n%s", once)
		}
		t.apply()
		if diff := cmp.Diff(once, dump(t)); diff != "" {
			t.Errorf("-once +twice:\n%s", diff)
		}
	})
}

func TestRemoveLeavesNoLineOfOursAndEveryOther(t *testing.T) {
	everywhere(t, func(t test) {
		settle(t)
		before := dump(t)
		t.apply()
		t.tamper(t.T, "nat", "-A OUTPUT "+t.cfg.jump().String(), "-I EXECTAPE 1 -p tcp -j RETURN")
		for range 2 { // the second time there is nothing to remove
			if err := t.tables.RemoveJump(t.Context(), AnyGeneration); err != nil {
				t.Fatal(err)
			}
			if now := dump(t); strings.Contains(now, t.cfg.jump().String()) {
				t.Fatalf("a jump is left after RemoveJump:\n%s", now)
			}
		}
		for range 2 {
			if err := t.tables.RemoveChain(t.Context(), AnyGeneration); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, dump(t)); diff != "" {
				t.Fatalf("-before +after:\n%s", diff)
			}
		}
	})
}

func TestAHundredCyclesLeaveEveryRuleOfOthers(t *testing.T) {
	everywhere(t, func(t test) {
		settle(t)
		before := dump(t)
		t.apply()
		whole := dump(t)
		for i := range 100 {
			t.tamper(t.T, "nat", "-F EXECTAPE", "-D OUTPUT 1")
			t.apply()
			if i%10 == 0 {
				if err := t.tables.RemoveChain(t.Context(), AnyGeneration); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, dump(t)); diff != "" {
					t.Fatalf("cycle %d: -before +after:\n%s", i, diff)
				}
				t.apply()
			}
		}
		if diff := cmp.Diff(whole, dump(t)); diff != "" {
			t.Errorf("-once +after a hundred cycles:\n%s", diff)
		}
	})
}

func TestRemoveWhereNothingWasAppliedDoesNothing(t *testing.T) {
	everywhere(t, func(t test) {
		before := dump(t)
		if err := t.tables.RemoveJump(t.Context(), AnyGeneration); err != nil {
			t.Error(err)
		}
		if err := t.tables.RemoveChain(t.Context(), AnyGeneration); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(before, dump(t)); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
	})
}

// settle fills the tables with what others have there: rules before and after
// where ours will be, chains like ours, and words that look like ours.
func settle(t test) {
	t.Helper()
	for _, backend := range []Backend{NFT, Legacy} {
		for _, family := range families {
			c := mustLookup(t.T, backend, family)
			c.tamper(t.T, "nat",
				":KUBE-SERVICES - [0:0]",
				":EXECTAPE-NOT - [0:0]",
				":DOCKER - [0:0]",
				`-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES`,
				`-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES`,
				`-A OUTPUT -p tcp -m comment --comment "exectape: not this one" -j EXECTAPE-NOT`,
				`-A OUTPUT -p tcp -m comment --comment "a \"quoted\" \\ word -j EXECTAPE" -j DOCKER`,
				`-A OUTPUT -p udp -m udp --dport 53 -m comment --comment exectape -j REDIRECT --to-ports 5353`,
				`-A EXECTAPE-NOT -p tcp -m comment --comment "exectape: neither this -j EXECTAPE"`,
				`-A POSTROUTING -m mark --mark 0x2000/0x2000 -j MASQUERADE`)
			c.tamper(t.T, "mangle", ":EXECTAPE - [0:0]", "-A OUTPUT -p tcp -j EXECTAPE", "-A EXECTAPE -j MARK --set-xmark 0x1/0x1")
			c.tamper(t.T, "filter", "-A INPUT -p tcp -m tcp --dport 1015 -j ACCEPT")
		}
	}
}

func TestTheKernelKeepsTheRulesAsTheyAreRendered(t *testing.T) {
	everywhere(t, func(t test) {
		for name, cfg := range renderings {
			if err := t.tables.Apply(t.Context(), cfg); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			view, err := t.tables.Look(t.Context(), cfg)
			if err != nil || len(view.Problems) > 0 {
				t.Errorf("%s: after Apply: %v %v", name, view.Problems, err)
			}
			nat, err := t.read(t.Context(), "nat")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(texts(cfg.Rules(t.family)), nat.rules(Chain)); diff != "" {
				t.Errorf("%s: -rendered +kept:\n%s", name, diff)
			}
		}
	})
}

func TestCheckSaysWhatIsWrongAndApplyPutsItRight(t *testing.T) {
	everywhere(t, func(t test) {
		pass, redirect := t.cfg.Rules(t.family)[0].String(), t.cfg.Rules(t.family)[1].String()
		another := Rule{"-p tcp", "an older wording", Chain}.String()
		elsewhere := strings.Replace(redirect, "--to-ports 1015", "--to-ports 1016", 1)
		for _, row := range []struct {
			name   string
			damage []string
			want   []string
		}{
			{"nothing", nil, nil},
			{"jump gone", []string{"-D OUTPUT 1"},
				[]string{"the jump from OUTPUT to EXECTAPE is missing"}},
			{"jump twice", []string{"-A OUTPUT " + t.cfg.jump().String()},
				[]string{"the jump from OUTPUT to EXECTAPE is there more than once"}},
			{"jump of an older exectape", []string{"-R OUTPUT 1 " + another},
				[]string{"the jump from OUTPUT is not worded as it should be: " + another}},
			{"redirect gone", []string{"-D EXECTAPE 2"},
				[]string{"chain EXECTAPE lacks the rule " + redirect}},
			{"pass gone", []string{"-D EXECTAPE 1"},
				[]string{"chain EXECTAPE lacks the rule " + pass}},
			{"redirect to another port", []string{"-R EXECTAPE 2 " + elsewhere},
				[]string{"chain EXECTAPE lacks the rule " + redirect, "chain EXECTAPE has a rule that it should not have: " + elsewhere}},
			{"a rule of another's", []string{"-I EXECTAPE 1 -p tcp -j RETURN"},
				[]string{"chain EXECTAPE has a rule that it should not have: -p tcp -j RETURN"}},
			{"wrong order", []string{"-D EXECTAPE 1", "-A EXECTAPE " + pass},
				[]string{"chain EXECTAPE has its rules in another order, or some more than once"}},
			{"a rule twice", []string{"-A EXECTAPE " + redirect},
				[]string{"chain EXECTAPE has its rules in another order, or some more than once"}},
			{"chain emptied", []string{"-F EXECTAPE"},
				[]string{"chain EXECTAPE lacks the rule " + pass, "chain EXECTAPE lacks the rule " + redirect}},
			{"chain gone", []string{"-D OUTPUT 1", "-F EXECTAPE", "-X EXECTAPE"},
				[]string{"chain EXECTAPE is missing", "the jump from OUTPUT to EXECTAPE is missing"}},
		} {
			t.apply()
			whole := dump(t)
			t.tamper(t.T, "nat", row.damage...)
			t.wantProblems(row.name, row.want...)
			t.apply()
			if diff := cmp.Diff(whole, dump(t)); diff != "" {
				t.Errorf("%s: -before +after it was put right:\n%s", row.name, diff)
			}
		}
	})
}

// wantProblems checks what Check says of the node's backend and family.
func (t test) wantProblems(name string, words ...string) {
	t.Helper()
	var want []Problem
	for _, w := range words {
		want = append(want, Problem(fmt.Sprintf("%s (%s): %s", t.family, t.backend, w)))
	}
	view, err := t.tables.Look(t.Context(), t.cfg)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if diff := cmp.Diff(want, view.Problems); diff != "" {
		t.Errorf("%s: -want +got:\n%s", name, diff)
	}
}

// What others have in the table can be long, and to print it takes its time.
func TestALookAtRulesOfNFTReadsThemAlone(t *testing.T) {
	everywhere(t, func(t test) {
		if t.backend != NFT {
			return // all of a table is one to legacy
		}
		settle(t)
		t.cfg.Live = true
		look := func() (View, error) {
			tables := *t.tables
			tables.commands = slices.Clone(t.tables.commands)
			for i := range tables.commands {
				tables.commands[i].save = "/bin/false"
			}
			return tables.Look(t.Context(), t.cfg)
		}
		t.apply()
		view, err := look()
		if err != nil || len(view.Problems) > 0 {
			t.Errorf("error %v, problems %q, with the rules as they should be", err, view.Problems)
		}
		if diff := cmp.Diff([]Instance{t.cfg.Instance()}, view.Instances); t.cfg.Generation != 0 && diff != "" {
			t.Errorf("the instances: -want +got:\n%s", diff)
		}
		for _, damage := range []string{"-D OUTPUT 1", "-F EXECTAPE", "-A EXECTAPE -p tcp -j RETURN", "-A OUTPUT " + t.cfg.jump().String()} {
			t.tamper(t.T, "nat", damage)
			if _, err := look(); err == nil || !strings.Contains(err.Error(), "/bin/false") {
				t.Errorf("%s: error %v, want that of who prints all of it", damage, err)
			}
			t.apply()
		}
	})
}

func TestApplyRemovesWhatHasNoTargetAnyMore(t *testing.T) {
	everywhere(t, func(t test) {
		settle(t)
		before := dump(t)
		t.apply()
		t.cfg.Targets = nil
		t.wantProblems("no target any more",
			"a jump from OUTPUT to EXECTAPE is left over", "chain EXECTAPE is left over")
		t.apply()
		if diff := cmp.Diff(before, dump(t)); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
	})
}

func TestAChainThatOthersUseIsNotDeleted(t *testing.T) {
	everywhere(t, func(t test) {
		t.apply()
		t.tamper(t.T, "nat", ":OTHER - [0:0]", "-A OTHER -p udp -j EXECTAPE", "-A OUTPUT -p udp -g EXECTAPE", "-A OUTPUT -p udp -j EXECTAPE")
		whole := dump(t)
		err := t.tables.RemoveChain(t.Context(), AnyGeneration)
		if err == nil {
			t.Fatal("RemoveChain succeeded")
		}
		for _, rule := range []string{"-A OTHER -p udp -j EXECTAPE", "-A OUTPUT -p udp -g EXECTAPE", "-A OUTPUT -p udp -j EXECTAPE"} {
			if !strings.Contains(err.Error(), rule) {
				t.Errorf("the error does not name %q: %v", rule, err)
			}
		}
		if diff := cmp.Diff(whole, dump(t)); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
	})
}

func TestANodeWithoutIPv6NeedsNoRulesForIt(t *testing.T) {
	everywhere(t, func(t test) {
		// Without IPv6 the kernel has no if_inet6 in here.
		if err := unix.Mount("tmpfs", "/proc/self/net", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.tables = mustNew(t.T, t.backend)
		err := t.tables.Apply(t.Context(), t.cfg)
		if t.family == IPv4 {
			if err != nil {
				t.Errorf("targets of IPv4 alone: %v", err)
			}
			return
		}
		const want = "iptables: connections to targets of IPv6 can't be redirected: this node has no IPv6"
		if err == nil || err.Error() != want {
			t.Errorf("a target of IPv6: error %v, want %s", err, want)
		}
	})
}

func TestWhatTheCommandSaysIsInTheError(t *testing.T) {
	everywhere(t, func(t test) {
		t.Setenv("XTABLES_LIBDIR", t.TempDir()) // no extension is found there
		err := t.tables.Apply(t.Context(), t.cfg)
		command := t.family.command() + "-" + t.backend.String() + "-restore --noflush --wait=5: exit status"
		if err == nil || !strings.Contains(err.Error(), command) || !strings.Contains(err.Error(), "Couldn't load") {
			t.Errorf("error %v, want one with %q and what it was about", err, command)
		}
	})
}

func TestAConfigurationWithoutPortOrMarkIsRefused(t *testing.T) {
	tables := new(Tables)
	cfg := renderings["ipv4"]
	cfg.Port = 0
	if err := tables.Apply(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "no port") {
		t.Errorf("no port: error %v", err)
	}
	cfg = renderings["ipv4"]
	cfg.Mark = Mark{}
	if _, err := tables.Look(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "no mark") {
		t.Errorf("no mark: error %v", err)
	}
}

func TestAutoIsWhatTheKubeletUses(t *testing.T) {
	everywhere(t, func(t test) {
		if got := mustNew(t.T, Auto).Backend(); got != NFT {
			t.Errorf("without a kubelet: %s, want nft", got)
		}
		for _, hint := range hints {
			t.tamper(t.T, "mangle", ":"+hint+" - [0:0]")
			if got := mustNew(t.T, Auto).Backend(); got != t.backend {
				t.Errorf("%s in %s: %s", hint, t.backend, got)
			}
			t.tamper(t.T, "mangle", "-X "+hint)
		}
	})
}

func TestAutoClearsTheBackendThatTheKubeletDoesNotUse(t *testing.T) {
	everywhere(t, func(t test) {
		t.apply()
		other := map[Backend]Backend{NFT: Legacy, Legacy: NFT}[t.backend]
		mustLookup(t.T, other, t.family).tamper(t.T, "mangle", ":KUBE-IPTABLES-HINT - [0:0]")
		auto := mustNew(t.T, Auto)
		view, err := auto.Look(t.Context(), t.cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := Problem(fmt.Sprintf("%s (%s): chain EXECTAPE is left over", t.family, t.backend))
		if !slices.Contains(view.Problems, want) {
			t.Errorf("problems %q, want among them %q", view.Problems, want)
		}
		if err := auto.Apply(t.Context(), t.cfg); err != nil {
			t.Fatal(err)
		}
		t.cfg.Targets = nil
		t.wantProblems("the backend that was used before")
		if err := auto.RemoveChain(t.Context(), AnyGeneration); err != nil {
			t.Fatal(err)
		}
		if now := dump(t); strings.Contains(now, Chain) {
			t.Errorf("something is left:\n%s", now)
		}
	})
}

func TestLookingMakesNoTables(t *testing.T) {
	inNamespace(t, func() {
		tables := mustNew(t, Auto)
		if _, err := tables.Look(t.Context(), renderings["ipv4"]); err != nil {
			t.Fatal(err)
		}
		if err := tables.RemoveChain(t.Context(), AnyGeneration); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"} {
			names, err := os.ReadFile(file)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if len(names) > 0 {
				t.Errorf("%s: %q", file, names)
			}
		}
	})
}
