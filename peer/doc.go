// Package peer finds out which process of this node opened a connection: a
// kubelet, a crictl, or something else that speaks to the runtime.
//
// The kernel says which socket is at the other end, and whose. Which process has
// it stands below /proc, and to look for it there is work that grows with the
// node; so it is done for nobody who waits. A [Finder] first looks where those who
// have opened connections before had them, which finds a kubelet at once; then at
// all that they have, and at all others, the youngest first, but at neither for
// more than a tenth of the time.
//
// It takes being in the node's namespaces of network and processes. Of a process
// elsewhere nothing is known, or nothing but whose the socket is.
package peer
