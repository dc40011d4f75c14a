// Package content is what the sessions of the bench carry: bytes that both
// ends, and whoever reads a cast afterwards, can make again.
package content

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// A Kind is a sort of output. Its bytes are a cycle that is repeated for as long
// as a session wants it, and so is the way in which they come in frames.
type Kind string

// Text is a log that a person reads, in frames of 32 KiB, as io.Copy makes them.
// Redraw is a full-screen program on a terminal, in frames of 3 KiB. Binary is
// an archive that is downloaded.
const (
	Text   Kind = "text"
	Redraw Kind = "redraw"
	Binary Kind = "binary"
)

const (
	cycle = 1 << 20
	large = 32 << 10
	small = 3 << 10
)

var made = map[Kind]func() [][]byte{
	Text:   sync.OnceValue(func() [][]byte { return frames(Text) }),
	Redraw: sync.OnceValue(func() [][]byte { return frames(Redraw) }),
	Binary: sync.OnceValue(func() [][]byte { return frames(Binary) }),
}

// Frames returns one cycle, as it is cut into frames.
func Frames(k Kind) [][]byte { return made[k]() }

func frames(k Kind) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	size := large
	var all []byte
	switch k {
	case Text:
		all = text(random)
	case Redraw:
		all, size = redraw(random), small
	default:
		all = make([]byte, cycle)
		for i := range all {
			all[i] = byte(random.Uint32())
		}
	}
	var cut [][]byte
	for ; len(all) >= size; all = all[size:] {
		cut = append(cut, all[:size])
	}
	return cut
}

var words = strings.Fields("the connection to upstream was refused after retry timeout GET /api/v1/namespaces 200 info level=warn msg component scheduler")

// text has lines of about 100 characters, a few of them with quotes or with
// something that is not ASCII.
func text(random *rand.Rand) []byte {
	var b bytes.Buffer
	for n := 0; b.Len() < cycle; n++ {
		fmt.Fprintf(&b, "2026-11-25T17:31:%02d.%06dZ ", n%60, random.IntN(1e6))
		for range 8 + random.IntN(8) {
			b.WriteString(words[random.IntN(len(words))])
			b.WriteByte(' ')
		}
		switch n % 16 {
		case 3:
			fmt.Fprintf(&b, "error=%q", "no such host")
		case 7:
			b.WriteString("größer als 1 µs → ok")
		}
		b.WriteByte('\n')
	}
	return b.Bytes()[:cycle]
}

// redraw has what top and its like write: places, colours and short texts.
func redraw(random *rand.Rand) []byte {
	var b bytes.Buffer
	for b.Len() < cycle {
		fmt.Fprintf(&b, "\x1b[%d;%dH\x1b[%d;%dm%5d %-8s\x1b[0m %4.1f\x1b[K\r\n",
			1+random.IntN(40), 1+random.IntN(120), random.IntN(2), 30+random.IntN(8),
			random.IntN(65536), words[random.IntN(len(words))], random.Float64()*100)
	}
	return b.Bytes()[:cycle]
}

// A Check compares what it is written with a kind's bytes.
type Check struct {
	cycle []byte
	at    int   // in the cycle
	Bytes int64 // how many came
	Wrong bool  // some of them were others
}

// NewCheck returns a Check of content of kind k.
func NewCheck(k Kind) *Check { return &Check{cycle: bytes.Join(Frames(k), nil)} }

// Write never fails.
func (c *Check) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), len(c.cycle)-c.at)
		c.Wrong = c.Wrong || !bytes.Equal(rest[:n], c.cycle[c.at:c.at+n])
		c.at = (c.at + n) % len(c.cycle)
		rest = rest[n:]
	}
	c.Bytes += int64(len(p))
	return len(p), nil
}
