package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The tests that change rules do so in a network namespace of their own: there
// the test binary runs again, for that test alone, with this variable set.
const inside = "EXECTAPE_TEST_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "the test's network namespace:", err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// furnish makes a new network namespace fit to live in. In /run is the lock of
// iptables-legacy, which must not be the machine's.
func furnish() error {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount a tmpfs on /run: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

// inNamespace runs the rest of a test in a network and a mount namespace that
// nobody else has.
func inNamespace(t *testing.T, test func()) {
	t.Helper()
	if os.Getenv(inside) != "" {
		test()
		return
	}
	if os.Geteuid() != 0 {
		lacking(t, "root, to make a network namespace")
	}
	for _, name := range []string{"iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"} {
		if _, err := find(name); err != nil {
			lacking(t, err.Error())
		}
	}
	var patterns []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		patterns = append(patterns, "^"+regexp.QuoteMeta(name)+"$")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run="+strings.Join(patterns, "/"))
	// By itself the race detector waits a second before a program ends.
	cmd.Env = append(os.Environ(), inside+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	// Unlike Cloneflags this also makes the mounts private.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.EPERM):
		lacking(t, "the right to make a network namespace")
	case err != nil:
		t.Fatalf("in its namespace: %v\n%s", err, out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Fatalf("in its namespace the test did not run:\n%s", out)
	}
}

// lacking skips a test for want of something, but where "make test" promised
// that everything is there, that is a failure.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("EXECTAPE_TEST_ROOT") == "1" {
		t.Fatalf("EXECTAPE_TEST_ROOT=1, but this test lacks: %s", what)
	}
	t.Skipf("lacking: %s", what)
}

// A test is one in a namespace that is about one backend and one family.
type test struct {
	*testing.T
	commands
	tables   *Tables
	loopback netip.Addr
	cfg      Config // one target, on loopback
}

// everywhere runs a test in a namespace for each backend and family.
func everywhere(t *testing.T, run func(t test)) {
	t.Helper()
	for _, backend := range []Backend{NFT, Legacy} {
		for _, family := range families {
			t.Run(fmt.Sprintf("%s %s", backend, family), func(t *testing.T) {
				inNamespace(t, func() {
					loopback := map[Family]netip.Addr{
						IPv4: netip.MustParseAddr("127.0.0.1"),
						IPv6: netip.IPv6Loopback(),
					}[family]
					run(test{
						T:        t,
						commands: mustLookup(t, backend, family),
						tables:   mustNew(t, backend),
						loopback: loopback,
						cfg: Config{
							Targets: []netip.AddrPort{netip.AddrPortFrom(loopback, 34567)},
							Port:    1015,
							Mark:    Mark{Value: 0x2000, Mask: 0x2000},
						},
					})
				})
			})
		}
	}
}

func mustLookup(t *testing.T, backend Backend, family Family) commands {
	t.Helper()
	c, err := lookup(backend, family)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustNew(t *testing.T, backend Backend) *Tables {
	t.Helper()
	tables, err := New(t.Context(), backend)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// apply makes the rules what the node's configuration says.
func (t test) apply() {
	t.Helper()
	if err := t.tables.Apply(t.Context(), t.cfg); err != nil {
		t.Fatal(err)
	}
}

// tamper does to a table what somebody else might.
func (c commands) tamper(t *testing.T, table string, lines ...string) {
	t.Helper()
	input := "*" + table + "\n" + strings.Join(lines, "\n") + "\nCOMMIT\n"
	if _, err := run(t.Context(), input, c.restore, "--noflush"); err != nil {
		t.Fatal(err)
	}
}

var counters = regexp.MustCompile(` \[\d+:\d+\]`)

// dump returns all the tables of both backends and families as they are now,
// without what changes by itself: counters and dates.
func dump(t test) string {
	t.Helper()
	var all strings.Builder
	for _, backend := range []Backend{NFT, Legacy} {
		for _, family := range families {
			c := mustLookup(t.T, backend, family)
			saved, err := run(t.Context(), "", c.save)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%s %s\n", backend, family)
			for line := range strings.Lines(saved) {
				if !strings.HasPrefix(line, "#") {
					all.WriteString(counters.ReplaceAllString(line, ""))
				}
			}
		}
	}
	return all.String()
}
