// Package targets knows the streaming servers of this node's runtimes: the
// addresses whose connections exectape is to have.
//
// A [Set] is what the others ask. It is told which they are, or a [Finder] finds
// them and keeps the set up to date:
//
//	listeners.go  what listens in our network, and whose socket that is
//	processes.go  which of those sockets a runtime has
//	ask.go        whether it behaves as a streaming server does
//	finder.go     all of it, again and again
//
// It sets no rule and intercepts nothing.
package targets
