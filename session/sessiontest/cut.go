package sessiontest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"exectape/session"
)

// Joined is the same bytes with every direction in one piece, the client's
// first: what it opens must be known before the answer.
func Joined(pieces []Piece) []Piece {
	all := []Piece{{From: session.FromClient}, {From: session.FromServer}}
	for _, p := range pieces {
		all[p.From].Data = append(all[p.From].Data, p.Data...)
	}
	return all
}

// Recut cuts every piece again, into parts of the sizes that next says.
func Recut(pieces []Piece, next func() int) []Piece {
	var all []Piece
	for _, p := range pieces {
		for rest := p.Data; len(rest) > 0; {
			n := min(max(next(), 1), len(rest))
			all = append(all, Piece{p.From, rest[:n]})
			rest = rest[n:]
		}
	}
	return all
}

// SizesOf returns what [Recut] asks for next: sizes, over and over, or else 1.
func SizesOf(sizes []byte) func() int {
	i := 0
	return func() int {
		if len(sizes) == 0 {
			return 1
		}
		i++
		return int(sizes[i%len(sizes)])
	}
}

// CutsDoNotMatter fails t if pieces come to something else byte by byte, all
// at once, or in one of 100 random cuts.
func CutsDoNotMatter(t *testing.T, decoder func() session.Decoder, pieces []Piece) {
	t.Helper()
	want := Decode(decoder(), pieces)
	cuts := map[string][]Piece{
		"one byte at a time": Recut(pieces, func() int { return 1 }),
		"all at once":        Joined(pieces),
	}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		cuts[fmt.Sprintf("random cuts %d", seed)] = Recut(Joined(pieces), func() int { return random.IntN(40) })
	}
	for name, cut := range cuts {
		if diff := Difference(want, Decode(decoder(), cut)); diff != "" {
			t.Errorf("%s (-as given +cut):\n%s", name, diff)
		}
	}
}
