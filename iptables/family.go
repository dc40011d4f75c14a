package iptables

import "net/netip"

// A Family is a version of the Internet Protocol. Each has a table nat of its
// own.
type Family int

// The families.
const (
	IPv4 Family = iota
	IPv6
)

var families = [...]Family{IPv4, IPv6}

func (f Family) String() string { return [...]string{IPv4: "IPv4", IPv6: "IPv6"}[f] }

// command is the name with which the family's commands begin.
func (f Family) command() string { return [...]string{IPv4: "iptables", IPv6: "ip6tables"}[f] }

func (f Family) includes(target netip.AddrPort) bool { return familyOf(target.Addr()) == f }

func familyOf(addr netip.Addr) Family {
	if addr.Is4() {
		return IPv4
	}
	return IPv6
}

// mask is what leaves all of an address, as iptables-save prints it.
func (f Family) mask() string {
	return [...]string{IPv4: "255.255.255.255", IPv6: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}[f]
}
