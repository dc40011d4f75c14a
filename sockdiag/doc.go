// Package sockdiag knows the TCP sockets of our network namespace. The kernel is
// asked which there are, by sock_diag(7), and /proc which of them a process has.
//
// What /proc/net/tcp says is the same as sock_diag does, but to say it the kernel
// goes through the table of all connections, which takes it 50 times as long, and
// more where there is more memory.
package sockdiag
