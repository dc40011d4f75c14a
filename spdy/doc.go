// Package spdy decodes the SPDY/3.1 frames of a Kubernetes remote command
// session as they pass, and says what they meant.
//
// It does not speak SPDY: it opens no stream, answers no ping, and the only
// frame that it ever makes is the farewell of a session that exectape ends. It
// keeps no goroutine, reads no clock and writes no log. A [Decoder] is fed what
// passes, in any pieces; what it emits points into the caller's buffer and is
// valid only during the call.
//
// Frame layout: draft-mbelshe-httpbis-spdy-00, section 2.2. Where the draft and
// moby/spdystream (spdy/read.go, connection.go) differ, this package follows
// spdystream, bit by bit, because that is what reads these bytes at the far
// end: a client that sends what the draft forbids must not thereby hide
// anything from a recording. Where versions of spdystream differ (0.5.1 has
// limits that the copy in containerd 1.6 lacks), it follows the one that reads
// on, but for the number of headers in a block.
package spdy
