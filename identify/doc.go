// Package identify finds out which container a session belongs to. Nothing of
// that is on the wire, and nobody is asked: containerd's state directory shows
// it to whoever may read it.
//
// For every exec containerd makes a directory with FIFOs below the container's
// own, which lives as long as the exec does. A [Resolver] watches for them, and
// follows each session as its bytes pass. What it knows of both says which can
// belong together:
//
//	a session can have started   when its client had opened the error stream and one more
//	has not started yet          when the target accepts one more stream
//	has started                  when there is output, or the command's exit
//	an exec was made             when its FIFOs are there
//	by a session                 if it has a stdin or a terminal: nobody else makes such
//
// If that leaves one exec for a session, or one session for an exec, they belong
// together, and neither to any other: that is exact. What is left open is
// ambiguous, with all containers that it can be; see trace.go and match.go.
//
// So that little is left open, sessions pass a gate (gate.go): of those that can
// be mistaken for each other one starts at a time, which takes a few
// milliseconds. Nobody is held for longer than a bound, all told.
//
// The files:
//
//	inotify.go    what the kernel tells of directories
//	index.go      the containers and the FIFOs of the state directory
//	container.go  the names of a container, from its bundle
//	trace.go      what is known of one session
//	match.go      which sessions and execs can belong together
//	gate.go       sessions that start one at a time
//	attach.go     sessions without an exec
//	resolver.go   all of it
package identify
