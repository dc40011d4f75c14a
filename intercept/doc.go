// Package intercept stands between a kubelet and its container runtime's
// streaming server: it accepts the connections that iptables redirects (or
// that a SOCKS5 client asks for), dials where they were meant to go, follows
// the HTTP exchanges on them, and turns every exec and attach into a recorded
// session.
//
// The way through it, a file each:
//
//	server.go    accept, serve, drain
//	original.go  the original destination; the mark on our own dials
//	probe.go     whether all of this would work now
//	socks.go     the other entry, for where no rule can be set
//	tls.go       what can't be read
//	exchange.go  requests and responses, up to a 101
//	message.go   one HTTP message, parsed by net/http and forwarded as it came
//	upgrade.go   the 101: recorded, or spliced if it is a port-forward
//	splice.go    both directions, half-closes and resets included
//
// It changes not one byte of what passes. It does not know what SPDY or
// WebSocket look like (the Protocols of a [Server] do), nor where recordings go
// (its Open does), nor who the session belongs to.
package intercept
