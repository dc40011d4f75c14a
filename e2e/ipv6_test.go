package e2e_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/e2e/node"
)

func TestARuntimeMayListenOnIPv6(t *testing.T) {
	needsNode(t)
	ctx := patiently(t)
	streaming := netip.MustParseAddrPort("[::1]:24567") // not among the ports that clients are given
	second, err := node.Start(ctx, streaming)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
	pod, err := second.RunPod(ctx, "annex")
	if err != nil {
		t.Fatal(err)
	}
	container, err := pod.RunContainer(ctx, "app", cat)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			e := start(t, append(w.env, "EXECTAPE_TARGETS="+streaming.String())...)
			got := run(t, w.kubelet, container, kubelet.Process{Command: shell("echo out; echo err >&2; exit 3")}).leaves()
			wantSame(t, "the user's stdout", got.stdout, []byte("out\n"))
			wantSame(t, "the user's stderr", got.stderr, []byte("err\n"))
			r := e.recorded()
			r.wantAnswer(got)
			if r.Target != streaming {
				t.Errorf("the recorded target is %v, want %v", r.Target, streaming)
			}
		})
	}
}

// What can be redirected is, and that the rest can't be is not passed over.
func TestATargetThatNoRuleLeadsToKeepsNoOtherFromItsRule(t *testing.T) {
	needsNode(t)
	e := newExectape(t, append(byNFT.env, "EXECTAPE_TARGETS=127.0.0.1:34567,[::1]:34567")...)
	e.program.Path = withoutIP6Tables(t, e.program.Path)
	e.start()
	e.logs("a target has no rule: its sessions are not recorded")
	e.probe(false, "rules: [::1]:34567: iptables: connections to targets of IPv6 can't be redirected: ip6tables-nft-save is neither in PATH")
	e.saysHello(app)
}

// withoutIP6Tables returns a program that runs another where iptables-nft is
// the only one of its kind.
func withoutIP6Tables(t *testing.T, program string) string {
	t.Helper()
	programs := t.TempDir()
	multi, err := exec.LookPath("xtables-nft-multi")
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(multi)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(programs, "xtables-nft-multi"), copied, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iptables-nft", "iptables-nft-save", "iptables-nft-restore"} {
		if err := os.Symlink("xtables-nft-multi", filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(t.TempDir(), "without-ip6tables")
	text := fmt.Sprintf("#!/bin/sh\nPATH=/usr/bin:/bin exec unshare --mount sh -c 'mount --bind %s /usr/sbin && exec %q \"$@\"' sh \"$@\"\n", programs, program)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}
