package identify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// solutions returns all ways to give execs to sessions, each as a list by
// session.
func solutions(sessions []*trace, execs []*exec, owned map[*exec]bool) (all [][]*exec) {
	var try func(so []*exec)
	try = func(so []*exec) {
		if len(so) == len(sessions) {
			for _, e := range execs {
				if owned[e] && !slices.Contains(so, e) {
					return
				}
			}
			all = append(all, slices.Clone(so))
			return
		}
		t := sessions[len(so)]
		if !t.began {
			try(append(so, nil))
		}
		for e := range t.may {
			if !slices.Contains(so, e) {
				try(append(so, e))
			}
		}
	}
	try(nil)
	return all
}

// TestAPuzzleIsSolvedAsByTryingEverything compares what is certain, and what is
// possible, with all solutions there are.
func TestAPuzzleIsSolvedAsByTryingEverything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	solvable := 0
	for range 20000 {
		var sessions []*trace
		var execs []*exec
		owned := make(map[*exec]bool)
		for range 1 + random.IntN(5) {
			sessions = append(sessions, &trace{began: random.IntN(2) == 0, may: make(map[*exec]struct{})})
		}
		for range 1 + random.IntN(5) {
			e := &exec{matching: matching{may: make(map[*trace]struct{})}}
			execs = append(execs, e)
			owned[e] = random.IntN(2) == 0
			for _, s := range sessions {
				if random.IntN(2) == 0 {
					s.may[e], e.may[s] = struct{}{}, struct{}{}
				}
			}
		}
		p := &puzzle{sessions: sessions, execs: execs, owned: owned, started: make(map[*trace]*exec), by: make(map[*exec]*trace), tried: make(map[any]bool)}
		all := solutions(sessions, execs, owned)
		lostExecs, lostSessions := p.solve()
		if (len(all) == 0) != (len(lostExecs)+len(lostSessions) > 0) {
			t.Fatalf("%s: there are %d solutions; without: %d execs, %d sessions", describe(sessions, execs, owned), len(all), len(lostExecs), len(lostSessions))
		}
		if len(all) == 0 {
			continue
		}
		solvable++
		part := p.parts()
		for i, s := range sessions {
			for e := range s.may {
				in := 0
				for _, solution := range all {
					if solution[i] == e {
						in++
					}
				}
				own := p.started[s] == e
				certain, possible := own && part[s] != part[e], own || part[s] == part[e]
				if certain != (in == len(all)) || possible != (in > 0) {
					t.Fatalf("%s: session %d has exec %d in %d of %d solutions; certain %v, possible %v",
						describe(sessions, execs, owned), i, slices.Index(execs, e), in, len(all), certain, possible)
				}
			}
		}
	}
	if solvable < 1000 {
		t.Errorf("only %d puzzles had a solution", solvable)
	}
}

func TestAPuzzleIsNotGatheredWithoutEnd(t *testing.T) {
	e := &exec{matching: matching{may: make(map[*trace]struct{})}}
	for range 10 * maxPuzzle {
		s := &trace{may: map[*exec]struct{}{e: {}}}
		e.may[s] = struct{}{}
	}
	if p := newPuzzle(e, nil); !p.large || len(p.sessions) > maxPuzzle {
		t.Errorf("%d sessions are gathered (large: %v), of which %d are too many", len(p.sessions), p.large, maxPuzzle+1)
	}
}

func describe(sessions []*trace, execs []*exec, owned map[*exec]bool) string {
	var b strings.Builder
	for i, s := range sessions {
		fmt.Fprintf(&b, "%d(began %v):", i, s.began)
		for j, e := range execs {
			if _, ok := s.may[e]; ok {
				fmt.Fprintf(&b, " %d(owned %v)", j, owned[e])
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}
