package iptables

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// saves are what an iptables-save can answer, as shell scripts.
const (
	kubelets = "echo '*mangle'; echo ':KUBE-KUBELET-CANARY - [0:0]'; echo COMMIT"
	nothing  = "echo '*mangle'; echo ':OUTPUT ACCEPT [0:0]'; echo '# :KUBE-IPTABLES-HINT - [0:0]'; echo COMMIT"
	inNAT    = "echo '*nat'; echo ':KUBE-IPTABLES-HINT - [0:0]'; echo COMMIT; echo '*mangle'; echo COMMIT"
	fails    = "echo no such thing in this kernel >&2; exit 3"
	natives  = "echo '# Table `mangle'\\'' is incompatible, use '\\''nft'\\'' tool.'"
	absent   = ""
)

func TestDetect(t *testing.T) {
	for _, row := range []struct {
		name                       string
		nft, nft6, legacy, legacy6 string
		want                       Backend
		err                        string
	}{
		{"no kubelet", nothing, nothing, nothing, nothing, NFT, ""},
		{"kubelet with nft", kubelets, nothing, nothing, nothing, NFT, ""},
		{"kubelet with legacy", nothing, nothing, kubelets, nothing, Legacy, ""},
		{"kubelet with nft, IPv6 alone", nothing, kubelets, nothing, nothing, NFT, ""},
		{"kubelet with legacy, IPv6 alone", nothing, nothing, nothing, kubelets, Legacy, ""},
		{"kubelet that has changed over", kubelets, nothing, kubelets, nothing, NFT, ""},
		{"the chain in another table", inNAT, nothing, inNAT, nothing, NFT, ""},
		{"kernel without nft, kubelet with legacy", fails, fails, kubelets, nothing, Legacy, ""},
		{"kernel without nft, no kubelet", fails, fails, nothing, nothing, Auto, "no such thing in this kernel"},
		{"mangle can't be read, no kubelet", natives, nothing, nothing, nothing, Auto, "table mangle has rules that iptables can't read"},
		{"legacy can't be read, kubelet with nft", kubelets, nothing, fails, fails, NFT, ""},
		{"only legacy installed", absent, absent, nothing, nothing, Legacy, ""},
		{"only nft installed", nothing, nothing, absent, absent, NFT, ""},
		{"nothing of IPv6 installed", nothing, absent, kubelets, absent, Legacy, ""},
		{"nothing installed", absent, absent, absent, absent, Auto, "install Debian's package iptables"},
	} {
		t.Run(row.name, func(t *testing.T) {
			inNamespace(t, func() {
				install(t, map[string]string{
					"iptables-nft-save": row.nft, "ip6tables-nft-save": row.nft6,
					"iptables-legacy-save": row.legacy, "ip6tables-legacy-save": row.legacy6,
				})
				tables, err := New(t.Context(), Auto)
				if row.err != "" {
					if err == nil || !strings.Contains(err.Error(), row.err) {
						t.Fatalf("error %v, want one with %q", err, row.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if tables.Backend() != row.want {
					t.Errorf("backend %s, want %s", tables.Backend(), row.want)
				}
			})
		})
	}
}

// install makes scripts the only programs of iptables that there are.
func install(t *testing.T, saves map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range saves {
		if script == absent {
			continue
		}
		plain := strings.TrimSuffix(name, "-save")
		for _, name := range []string{name, plain + "-restore", plain} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", dir)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewSaysWhatItLacks(t *testing.T) {
	inNamespace(t, func() {
		if _, err := New(t.Context(), Off); err == nil || err.Error() != "iptables: the backend is off; choose auto, nft or legacy" {
			t.Errorf("off: error %v", err)
		}
		install(t, nil)
		for _, backend := range []Backend{NFT, Legacy} {
			_, err := New(t.Context(), backend)
			want := "iptables: iptables-" + backend.String() + "-save is neither in PATH nor in /usr/sbin or /sbin; install Debian's package iptables"
			if err == nil || err.Error() != want {
				t.Errorf("%s: error %v, want %s", backend, err, want)
			}
		}
	})
}

func TestACancelledContextIsWhyACommandFailed(t *testing.T) {
	inNamespace(t, func() {
		ctx, cancel := context.WithCancel(t.Context())
		tables := mustNew(t, NFT)
		cancel()
		if err := tables.RemoveJump(ctx, AnyGeneration); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
