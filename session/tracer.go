package session

// A Tracer finds out whose session it is, from what passes. See, Pass and
// Identity may be called by the goroutines of both directions at once.
type Tracer interface {
	// See takes an event of the session. It keeps no reference to e.Data.
	See(e Event)

	// Pass returns when the target may hear of what the client has opened by
	// then. It is called by the goroutine that passes that on.
	Pass()

	// Identity returns whose session it is if there is something new to say of
	// that, and nil otherwise.
	Identity() *Identity

	// Close says that the session has ended. Identity has the last word after it.
	Close()

	// Refused says, in place of Close, that the target has not begun a session.
	Refused()
}

// Untraced is the Tracer of a session of which nobody finds out whose it is.
type Untraced struct{}

// See implements [Tracer].
func (Untraced) See(Event) {}

// Pass implements [Tracer].
func (Untraced) Pass() {}

// Identity implements [Tracer].
func (Untraced) Identity() *Identity { return nil }

// Close implements [Tracer].
func (Untraced) Close() {}

// Refused implements [Tracer].
func (Untraced) Refused() {}
