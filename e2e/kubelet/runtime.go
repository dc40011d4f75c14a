package kubelet

import (
	"context"
	"net/url"
)

// A Process is what a kubelet asks a runtime to run in a container. It has a
// stdout, and a stderr unless it has a TTY.
type Process struct {
	Command []string
	Stdin   bool
	TTY     bool
}

// A Runtime runs processes in one of its containers.
type Runtime interface {
	// Exec returns the URL at which process is run, once, if it is asked for
	// within a minute.
	Exec(ctx context.Context, process Process) (*url.URL, error)
}
