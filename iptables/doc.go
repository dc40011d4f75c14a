// Package iptables leads the connections that a node makes to its container
// runtime to exectape instead, by rules in table nat.
//
// The rules are data ([Config] and the [Rule]s it asks for) and text
// ([Render]) before they are anything in a kernel. They live in a chain of our
// own, [Chain]: packets that bear exectape's mark return, a new connection to
// a target is redirected to exectape's port. A jump from OUTPUT leads into it.
// The redirections can be leased: then they cease by themselves, unless the
// lease is renewed ([Config.Renew]).
// [Tables] compares what iptables-save prints with what should be there and
// hands the difference, jump last, to one iptables-restore for each family,
// which the kernel takes as a whole or not at all.
//
// Ours are the chain, whatever is in it, and the jumps to it from OUTPUT whose
// comment begins with "exectape: ". No other line is written, moved or
// deleted. The jump is put in as OUTPUT's first rule; if others are put before
// it later it stays where it is, for there would be no end to that. Of the two
// backends that a kernel can have, nftables and the older x_tables, the one is
// used that the node's kubelet uses, unless it is chosen ([Backend]).
//
// The package starts no goroutine, keeps nothing between two calls, writes no
// log and does not watch over the rules: package keeper does, by calling again. It
// does not know whether anybody listens where the rules lead. It runs the
// commands of Debian's package iptables, each with a time limit, and is the
// only package that runs any.
package iptables
