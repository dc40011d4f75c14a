// Package differential holds the decoder of package websocket to the server
// that it stands in front of: k8s.io/streaming's wsstream, which containerd,
// CRI-O and cri-dockerd serve with. What that server takes out of a client's
// bytes, and where it stops reading them, the decoder must see as well; what
// it writes, the decoder must read.
//
// It has only tests, needs no privileges, and is here because the product's
// own module is free of Kubernetes.
package differential
