// Package websocket decodes the frames of a Kubernetes remote command session
// over WebSocket as they pass, and says what they meant.
//
// It does not speak WebSocket: it answers no ping, echoes no close, and the
// only frames that it ever makes are the farewell of a session that exectape
// ends. It keeps no goroutine, reads no clock and writes no log. A decoder is
// fed what passes, in any pieces, and changes none of it; what it emits is
// valid only during the call.
//
// A session is multiplexed by channels: a message's first byte says to which
// one the rest belongs. All five always exist and none is ever opened, so that
// it can't be seen here whether a session has a terminal, or a stdin.
//
// Frame layout: RFC 6455, section 5.2. Where the RFC and the servers differ,
// this package follows the servers, because they are what reads these bytes: a
// client that sends what the RFC forbids must not thereby hide anything from a
// recording. The servers are k8s.io/streaming's wsstream over
// golang.org/x/net/websocket (containerd, CRI-O, cri-dockerd), which know no
// messages, only frames, and for v5.channel.k8s.io conmon-rs over tungstenite,
// which joins them.
package websocket
