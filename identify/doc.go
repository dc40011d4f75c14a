// Package identify finds out which container a session belongs to, and what runs
// there. Nothing of that is on the wire, and nobody is asked: the runtime's state
// directory shows it to whoever may read it.
//
// For every exec containerd makes a directory with FIFOs below the container's
// own, which goes with the exec. A [Resolver] watches for them, and follows each
// session as its bytes pass. What it knows of both says which can belong
// together:
//
//	a session can have started   when its client had opened two streams
//	has not started yet          when the target accepts one more
//	has started                  when there is output, or the command's exit
//	an exec was made             when its FIFOs are there
//	by a session                 if it has a stdin or a terminal: a probe has neither
//	is running                   when runc has written its pid
//	has written something        when that was read from its stdout
//	and was told something       when that was written to its stdin
//	has ended                    when its FIFOs are gone, before its exit is told
//
// That is a puzzle: some sessions have one of the execs each, some execs belong
// to one of the sessions each. What is the same in every solution is exact. What
// is not is ambiguous, with all containers that it can be.
//
// So that little is ambiguous, sessions pass a gate: of those that can be
// mistaken for each other one starts at a time, which takes a few milliseconds.
// Nobody is held for longer than a bound, all told.
//
// The files:
//
//	inotify.go    what the kernel tells of directories
//	source.go     what shows containers and execs
//	index.go      the containers of containerd's state directory
//	exec.go       the execs in them
//	fifo.go       what passes first through an exec's FIFOs
//	crio.go       the execs of CRI-O, which are files
//	container.go  the names of a container, from its bundle
//	process.go    what an exec runs, from the spec that its runc was given
//	trace.go      what is known of one session
//	match.go      which sessions and execs can belong together
//	puzzle.go     what follows from that
//	gate.go       sessions that start one at a time
//	attach.go     sessions without an exec
//	resolver.go   all of it
package identify
