package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Missing returns what this machine lacks to have a node, or nil. It adds to
// PATH where administrators' programs are, such as iptables: a user's may lack
// it.
func Missing() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can make namespaces and run containers")
	}
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return err
	}
	for _, program := range append(ours().programs, "iptables-nft", "iptables-legacy", busybox) {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed", program)
		}
	}
	// Proves namespaces and netfilter at once, in a network that ends with the
	// command.
	try := exec.Command("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "1")
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if said, err := try.CombinedOutput(); err != nil {
		return fmt.Errorf("no REDIRECT rule can be set, not even in a network of our own: %w\n%s", err, said)
	}
	return nil
}
