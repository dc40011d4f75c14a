package identify

// A puzzle is sessions and execs of which some can belong together. A session
// that has begun has an exec, and an exec that no probe can have made has a
// session; others may be alone. In every solution each belongs to one at most.
//
// What is the same in every solution is certain, and what is in none can't be.
// Both are read from one solution: any other differs from it along alternating
// paths and circles, so what lies on none of them is the same in all (as in
// Régin's filtering of all-different constraints, 1994).
type puzzle struct {
	sessions []*trace
	execs    []*exec
	owned    map[*exec]bool // which execs have a session

	// The solution.
	started map[*trace]*exec
	by      map[*exec]*trace

	tried map[any]bool // during a search

	large bool // it is not gathered as a whole, and not to be solved
}

// maxPuzzle bounds how many sessions a puzzle has, and how many execs: while it
// is solved everybody waits. Sessions that wait with open streams for long make
// one large.
const maxPuzzle = 256

// newPuzzle gathers all that hangs together with an exec, or with sessions.
func newPuzzle(e *exec, sessions []*trace) *puzzle {
	p := &puzzle{
		owned: make(map[*exec]bool), started: make(map[*trace]*exec), by: make(map[*exec]*trace),
		tried: make(map[any]bool),
	}
	if e != nil {
		p.addExec(e)
	}
	for _, t := range sessions {
		p.addSession(t)
	}
	return p
}

func (p *puzzle) addSession(t *trace) {
	if p.large || p.tried[t] {
		return
	}
	if len(p.sessions) == maxPuzzle {
		p.large = true
		return
	}
	p.tried[t] = true
	p.sessions = append(p.sessions, t)
	for e := range t.may {
		p.addExec(e)
	}
}

func (p *puzzle) addExec(e *exec) {
	if p.large || p.tried[e] || e.owner != nil {
		return
	}
	if len(p.execs) == maxPuzzle {
		p.large = true
		return
	}
	p.tried[e] = true
	p.execs = append(p.execs, e)
	for t := range e.may {
		p.addSession(t)
	}
}

// begun reports whether t has an exec that is among those that it may have.
func begun(t *trace) bool { return t.began && t.exec == nil && !t.blind && !t.vague() }

// solve finds a solution. It returns the execs and sessions for which there is
// none: they belong to what is not known here.
func (p *puzzle) solve() (execs []*exec, sessions []*trace) {
	for _, e := range p.execs {
		clear(p.tried)
		if p.owned[e] && !p.giveExec(e) {
			execs = append(execs, e)
		}
	}
	for _, t := range p.sessions {
		clear(p.tried)
		if begun(t) && p.started[t] == nil && !p.giveSession(t) {
			sessions = append(sessions, t)
		}
	}
	return execs, sessions
}

// giveExec finds a session for e, be it that another exec finds another one.
func (p *puzzle) giveExec(e *exec) bool {
	for t := range e.may {
		if p.tried[t] {
			continue
		}
		p.tried[t] = true
		if other := p.started[t]; other == nil || p.giveExec(other) {
			p.started[t], p.by[e] = e, t
			return true
		}
	}
	return false
}

// giveSession finds an exec for t: one that nobody has, one of a session that
// may be alone, or of one that finds another. What execs are owned stay owned.
func (p *puzzle) giveSession(t *trace) bool {
	for e := range t.may {
		if p.tried[e] {
			continue
		}
		p.tried[e] = true
		other := p.by[e]
		if other != nil && begun(other) && !p.giveSession(other) {
			continue
		}
		if other != nil && p.started[other] == e {
			delete(p.started, other)
		}
		p.started[t], p.by[e] = e, t
		return true
	}
	return false
}

// A swap is a graph of what can change places: sessions, execs, and nobody, with
// whom those change places that may be alone.
type swap struct {
	p     *puzzle
	index map[any]int
	low   map[any]int
	stack []any
	part  map[any]int // of what can change places with each other
	parts int
}

type nobody struct{}

// parts says, by a number, who can change places with whom.
func (p *puzzle) parts() map[any]int {
	s := &swap{p: p, index: make(map[any]int), low: make(map[any]int), part: make(map[any]int)}
	s.visit(nobody{})
	for _, t := range p.sessions {
		s.visit(t)
	}
	for _, e := range p.execs {
		s.visit(e)
	}
	return s.part
}

// next returns where a step leads from node: to an exec that a session may have
// instead, to the session that has an exec, and by way of nobody from who can be
// left alone to who is.
func (s *swap) next(node any) (all []any) {
	p := s.p
	switch n := node.(type) {
	case *trace:
		for e := range n.may {
			if p.started[n] != e {
				all = append(all, e)
			}
		}
		if p.started[n] != nil && !begun(n) {
			all = append(all, nobody{})
		}
	case *exec:
		if t := p.by[n]; t != nil {
			return []any{t}
		}
		return []any{nobody{}}
	case nobody:
		for _, t := range p.sessions {
			if p.started[t] == nil {
				all = append(all, t)
			}
		}
		for _, e := range p.execs {
			if p.by[e] != nil && !p.owned[e] {
				all = append(all, e)
			}
		}
	}
	return all
}

// visit is Tarjan's search for strongly connected components.
func (s *swap) visit(node any) {
	if s.index[node] != 0 {
		return
	}
	s.index[node] = len(s.index) + 1
	s.low[node] = s.index[node]
	s.stack = append(s.stack, node)
	for _, next := range s.next(node) {
		switch {
		case s.index[next] == 0:
			s.visit(next)
			s.low[node] = min(s.low[node], s.low[next])
		case s.part[next] == 0:
			s.low[node] = min(s.low[node], s.index[next])
		}
	}
	if s.low[node] != s.index[node] {
		return
	}
	s.parts++
	for {
		last := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		s.part[last] = s.parts
		if last == node {
			return
		}
	}
}
