package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Chain is the name of the chain in table nat that is ours.
const Chain = "EXECTAPE"

// ours begins the comment of every rule that we write.
const ours = "exectape: "

// Config says which connections are led where.
type Config struct {
	Targets []netip.AddrPort // where the connections go that exectape is to have; no zones, no IPv4 in IPv6
	Port    uint16           // where exectape has them, on 127.0.0.1 and on [::1]
	Mark    Mark             // by which exectape's own connections are let pass
	Lease   time.Duration    // for how long Renew makes the rules hold; 0: they hold by themselves

	Generation uint64     // of whoever listens at Port; 0: the rules are set by hand
	Live       bool       // connections may be open that need the chain, so it is not deleted for want of targets
	Behind     []Instance // whose rules stay where they are, before ours, as long as ours are to come after
}

// Instance returns whose rules they are.
func (c Config) Instance() Instance { return Instance{c.Port, c.Generation} }

// A Rule is one line of a chain.
type Rule struct {
	Match string // as iptables-save prints it
	Why   string // the comment, without whose it is
	Jump  string // the target and its options
}

// String is the rule to the letter as iptables-save prints it, with either
// backend and family. So rules can be compared as text.
func (r Rule) String() string {
	return fmt.Sprintf("%s -m comment --comment %q -j %s", r.Match, ours+r.Why, r.Jump)
}

// jump is the rule of OUTPUT that leads into our chain.
func (c Config) jump() Rule {
	return Rule{"-p tcp", "look for sessions to record" + c.Instance().mark(), Chain}
}

// Rules returns what our chain of family consists of: nothing, if no target is
// of this family, and then there is no chain.
func (c Config) Rules(family Family) []Rule {
	var rules []Rule
	for _, target := range c.sorted() {
		if family.includes(target) {
			rules = append(rules, c.redirect(target))
		}
	}
	if rules == nil {
		return nil
	}
	return append([]Rule{c.pass()}, rules...)
}

// sorted makes the same chain of the same targets, however they are listed.
func (c Config) sorted() []netip.AddrPort {
	return slices.Compact(slices.SortedFunc(slices.Values(c.Targets), netip.AddrPort.Compare))
}

// pass comes first: what exectape sends to a target would be led back to it.
func (c Config) pass() Rule {
	return Rule{"-m mark --mark " + c.Mark.String(), "let its own connections through" + c.Instance().mark(), "RETURN"}
}

func (c Config) redirect(target netip.AddrPort) Rule {
	addr := target.Addr()
	return Rule{
		Match: fmt.Sprintf("-d %s/%d -p tcp -m tcp --dport %d", addr, addr.BitLen(), target.Port()) + c.leased(addr),
		Why:   fmt.Sprintf("record sessions with %s%s", target, c.Instance().mark()),
		Jump:  fmt.Sprintf("REDIRECT --to-ports %d", c.Port),
	}
}

// Render returns what [Tables.Apply] gives to iptables-restore --noflush where
// nothing of ours is there yet, or nothing if there are no targets of family.
func Render(c Config, family Family) string {
	rules := texts(c.Rules(family))
	if len(rules) == 0 {
		return ""
	}
	return script(table{}.put(rules, c.jump().String()))
}

// script makes one transaction of lines.
func script(lines []string) string {
	return "*nat\n" + strings.Join(lines, "\n") + "\nCOMMIT\n"
}
