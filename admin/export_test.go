package admin

import "io"

// NewReadiness and Tell are what /readyz does, without HTTP.
func NewReadiness(checks []Check) readiness { return newReadiness(checks) }

// Tell is tell.
func (r readiness) Tell(w io.Writer) bool { return r.tell(w) }
