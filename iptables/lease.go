package iptables

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A lease is the kernel's memory that exectape is alive. A leased rule matches
// only if its target's address was put on a list of the kernel's (xt_recent)
// not longer ago than the lease says. So when exectape dies, however it dies,
// nothing needs to be removed: the rules cease to match.
//
// A list is born, empty, with the first rule that names it, and dies with the
// last one. It counts time as the kernel's timers do: no clock that is set
// changes anything.

// leases is the directory of all lists in this network namespace.
const leases = "/proc/net/xt_recent"

// list names the list for the targets of a family. The families can't share
// one: it keeps the mask of the first rule that named it, and that of IPv4
// leaves nothing of an address of IPv6 but its first 32 bits.
func (c Config) list(family Family) string {
	return fmt.Sprintf("exectape-%s-%d", strings.ToLower(family.String()), c.Port)
}

// leased returns the match that makes the rule of a target depend on the lease.
func (c Config) leased(target netip.Addr) string {
	if c.Lease == 0 {
		return ""
	}
	family := familyOf(target)
	return fmt.Sprintf(" -m recent --rcheck --seconds %d --name %s --mask %s --rdest",
		c.Lease/time.Second, c.list(family), family.mask())
}

// Renew makes the rules that are in place hold for another lease from now on.
// It fails where a target has no rule.
func (c Config) Renew() error {
	if c.Lease == 0 {
		return nil
	}
	var errs []error
	var last netip.Addr
	for _, target := range c.sorted() {
		if addr := target.Addr(); addr != last {
			last = addr
			errs = append(errs, c.renew(addr))
		}
	}
	return errors.Join(errs...)
}

// renew opens the list anew: one that was open may be of rules that are gone.
func (c Config) renew(addr netip.Addr) error {
	list, err := os.OpenFile(filepath.Join(leases, c.list(familyOf(addr))), os.O_WRONLY, 0)
	if err == nil {
		_, err = list.WriteString("+" + addr.String() + "\n")
		err = errors.Join(err, list.Close())
	}
	if err != nil {
		return fmt.Errorf("iptables: renew the lease on connections to %s: %w", addr, err)
	}
	return nil
}

// errNoLeases is why no leased rule can be made.
var errNoLeases = errors.New("this kernel has no xt_recent, which remembers leases; load that module (modprobe xt_recent), or do without a lease")

// noLeases explains the error of a command by which leased rules were to be
// made, if that is to be explained by the kernel.
func (c Config) noLeases(err error) error {
	if err == nil {
		return nil
	}
	if _, missing := os.Stat(leases); c.Lease > 0 && errors.Is(missing, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errNoLeases, err)
	}
	return err
}
