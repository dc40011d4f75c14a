package iptables

import "fmt"

// A Backend is the part of the kernel that holds the rules, and with it the
// family of commands that speak to it.
type Backend int

// The backends. Auto is the one that the node's kubelet uses.
const (
	Auto   Backend = iota
	NFT            // nftables, by iptables-nft
	Legacy         // x_tables, by iptables-legacy
	Off            // no rules at all; New refuses it
)

var backendNames = [...]string{Auto: "auto", NFT: "nft", Legacy: "legacy", Off: "off"}

func (b Backend) String() string { return backendNames[b] }

// UnmarshalText reads what String prints.
func (b *Backend) UnmarshalText(text []byte) error {
	for i, name := range backendNames {
		if name == string(text) {
			*b = Backend(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no backend of iptables; write auto, nft, legacy or off", text)
}

// commands finds the commands of a backend. Those of IPv6 can be missing: that
// is an error only once there are targets of IPv6.
func (b Backend) commands() ([]commands, error) {
	v4, err := lookup(b, IPv4)
	if err != nil {
		return nil, err
	}
	all := []commands{v4}
	if v6, err := lookup(b, IPv6); err == nil {
		all = append(all, v6)
	}
	return all, nil
}
