// Package e2e has the end-to-end tests: exectape, as it is shipped, between
// Kubernetes' own clients and a real containerd, led there by real iptables
// rules or by SOCKS5.
//
// The tests hold exectape to what its users can see: the bytes on both sides,
// the casts, the exit codes and the log. They look at nothing inside. It is a
// module of its own, so that Kubernetes stays out of the product's.
//
//	node        a real containerd or CRI-O, in namespaces
//	local       a runtime that needs no privileges
//	kubelet     opens sessions at either of them
//	recorder    runs exectape
//	hostile     makes the frames that no client sends by accident
//	tap         stands in front of a server and keeps what passes
//	terminal    makes pseudo-terminals
//	transcript  what was written so far, to be waited for
//	cluster     a real Kubernetes of one node, and kubectl at it; to be tried, too
//	demo        shows a newcomer what exectape does
package e2e
