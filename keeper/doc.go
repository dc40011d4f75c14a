// Package keeper keeps the rules that lead to exectape for as long as it runs.
//
// It looks at them every few seconds and puts right what somebody else has
// changed; and where they are leased it renews the lease every second, but only
// after a probe has shown that a session would be served. So the lease stands
// for service, not for a process that is still there.
//
// What rules are, how they are written and what a lease is in the kernel, is
// package iptables'. What a probe is, is its caller's.
package keeper
