// Package session is the domain of exectape: what one exec or attach is made
// of, what was seen of it, and who may be told.
//
// A session is one upgraded connection between a kubelet and its container
// runtime. Inside it run streams ([Stdin], [Stdout], [Stderr], [ErrorStream],
// [ResizeStream]). A [Decoder] (packages spdy and websocket) understands the
// bytes and emits an [Event] for each thing that they mean; [Conn] is the
// connection itself, which hands every event to a [Recorder] (package sink)
// before it hands on the bytes, and changes not one of them.
//
// The package knows no wire protocol, no file and no log, and imports only the
// standard library, so that everything else can import it.
package session
