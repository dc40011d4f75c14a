// Package keeper keeps the rules that lead to exectape for as long as it runs.
//
// It looks at them every few seconds and puts right what somebody else has
// changed; and where they are leased it renews the lease every second, but only
// after a probe has shown that a session would be served. So the lease stands
// for service, not for a process that is still there.
//
// Of several exectapes in a network namespace the youngest has the rules. It
// takes them over from the elder in three steps, such that at every moment a new
// session is led to one of the two:
//
//	1  one restore puts its rules behind the elder's: nothing comes to it yet
//	2  it renews its own lease, which takes a probe
//	3  one restore takes the elder's rules out
//
// The elder sees that in the rules, which say whose they are, and asks nobody:
// it leaves the rules alone as soon as there are a younger's, renews its lease
// for as long as its own are there, and takes back where the younger has gone.
//
// What rules are, how they are written and what a lease is in the kernel, is
// package iptables'; who is there, package instance's. What a probe is, is its
// caller's.
package keeper
