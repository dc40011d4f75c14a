package iptables

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A command that has not ended after timeout is killed. lockWait is the part
// of it that iptables-restore waits for another's xtables lock, so that it can
// itself say that this was why.
const (
	timeout  = 10 * time.Second
	lockWait = "--wait=5"
)

// commands are the programs that read and write the rules of one family in one
// backend.
type commands struct {
	backend             Backend
	family              Family
	list, save, restore string // paths
}

// lookup finds the commands of a family that the node has.
func lookup(backend Backend, family Family) (commands, error) {
	c := commands{backend: backend, family: family}
	if family == IPv6 && !nodeHasIPv6() {
		return c, errors.New("this node has no IPv6")
	}
	name := family.command() + "-" + backend.String()
	var err error
	if c.save, err = find(name + "-save"); err != nil {
		return c, err
	}
	if c.restore, err = find(name + "-restore"); err != nil {
		return c, err
	}
	c.list, err = find(name)
	return c, err
}

func nodeHasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return !errors.Is(err, fs.ErrNotExist)
}

// find looks for a program in PATH and where administrators' programs are,
// which PATH may lack.
func find(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path, err := exec.LookPath(filepath.Join(dir, name))
		if err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is neither in PATH nor in /usr/sbin or /sbin; install Debian's package iptables", name)
}

// read returns the table of that name.
func (c commands) read(ctx context.Context, name string) (table, error) {
	var args []string
	// iptables-legacy-save makes the kernel create the table that is asked
	// for. Asked for none it prints those that are there.
	if c.backend != Legacy {
		args = []string{"-t", name}
	}
	saved, err := run(ctx, "", c.save, args...)
	if err != nil {
		return nil, err
	}
	return readTable(name, saved)
}

// glance returns of table nat only what leads to our chain, and that chain if
// something does. It takes the time that these need. The table of a node with
// 5000 services takes a hundred times that: 0.7 s of nft, which keeps chains
// apart. To legacy they are one piece, and it gains nothing.
func (c commands) glance(ctx context.Context) (table, error) {
	nat, err := c.chain(ctx, "OUTPUT")
	if err != nil || len(nat.jumps()) == 0 {
		return nat, err
	}
	chain, err := c.chain(ctx, Chain)
	return append(nat, chain...), err
}

// chain returns one chain of table nat. Where there is none, that is an error,
// and what it says depends on iptables' version.
func (c commands) chain(ctx context.Context, name string) (table, error) {
	listed, err := run(ctx, "", c.list, "-t", "nat", "-S", name)
	if err != nil {
		return nil, err
	}
	nat := table{":" + name + " - [0:0]"}
	for line := range strings.Lines(listed) {
		if strings.HasPrefix(line, "-A ") {
			nat = append(nat, strings.TrimSuffix(line, "\n"))
		}
	}
	return nat, nil
}

// write makes the changes to table nat that lines ask for, all or none.
func (c commands) write(ctx context.Context, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := run(ctx, script(lines), c.restore, "--noflush", lockWait)
	return err
}

// run returns what the program prints. It waits for its end.
func run(ctx context.Context, input, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it had not ended after %s", timeout))
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	cmd.WaitDelay = time.Second // for a modprobe that it started and that has its pipes
	err := cmd.Run()
	if err == nil {
		return stdout.String(), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if said := strings.Join(strings.Fields(stderr.String()), " "); said != "" {
		return "", fmt.Errorf("%s: %w: %s%s", cmd, err, said, remedy(said))
	}
	return "", fmt.Errorf("%s: %w", cmd, err)
}

// remedy is what to add to the words of an iptables that the kernel refuses
// something to: they blame the user, who is root, or nobody.
func remedy(said string) string {
	if strings.Contains(said, "you must be root") || strings.Contains(said, "unable to initialize table") {
		return " (it takes CAP_NET_ADMIN, and iptables-legacy CAP_NET_RAW and kernel modules of its own)"
	}
	return ""
}
