package cast

import (
	"maps"
	"net/netip"
	"slices"
	"unicode/utf8"

	"exectape/session"
)

// Texts in a header come from clients, runtimes and containers, and can be
// long. What follows makes them fit.

// Beyond these an identity is not kept at all, not even in a summary.
const (
	maxName       = 1 << 10 // bytes
	maxCommand    = 16 << 10
	maxCandidates = 64
)

// bounded returns as much of an identity as is kept of one.
func bounded(i session.Identity) session.Identity {
	for _, name := range names(&i) {
		*name = atMost(*name, maxName)
	}
	if weight(i.Command) > maxCommand {
		i.Command = cutWords(i.Command, maxCommand)
	}
	i.Candidates = slices.Clone(i.Candidates[:min(len(i.Candidates), maxCandidates)])
	for j := range i.Candidates {
		c := &i.Candidates[j]
		for _, name := range []*string{&c.Namespace, &c.Pod, &c.Container, &c.ContainerID} {
			*name = atMost(*name, maxName)
		}
	}
	return i
}

// names returns what an identity has one of.
func names(i *session.Identity) []*string {
	return []*string{&i.Namespace, &i.Pod, &i.Container, &i.ContainerID, &i.User, &i.Source, (*string)(&i.Confidence)}
}

// compact returns the header without padding, and short enough for its slot.
func (h *Header) compact() []byte {
	if b := h.marshal(); len(b) < SlotSize {
		return b
	}
	return h.cut()
}

// cut is compact for a header that is too long: what is longest in it is cut to
// half until it fits.
func (h Header) cut() []byte {
	for {
		b := h.marshal()
		if len(b) < SlotSize {
			return b
		}
		parts := h.Facts.parts()
		longest := slices.MaxFunc(parts, func(a, b part) int { return a.size - b.size })
		if longest.size == 0 {
			h.Facts.Target = netip.AddrPort{} // whose zone can be any text
			h.Facts.Claims = nil              // as can be whose claims they are
			h.Facts.Peer = nil                // or how many digits its numbers have
		}
		longest.halve()
	}
}

// A part of a header is what can be cut by itself.
type part struct {
	size  int
	halve func()
}

// parts returns all that can be long. To cut them changes f, and nothing that
// it shares with others.
func (f *Facts) parts() []part {
	i := &f.Identity
	parts := []part{
		{weight(i.Command), func() { i.Command = cutWords(i.Command, weight(i.Command)/2) }},
		{weightOf(i.Candidates), func() { i.Candidates = i.Candidates[:len(i.Candidates)/2] }},
	}
	texts := []*string{&f.ID, &f.Node, &f.Verb, &f.Protocol, &f.Subprotocol, (*string)(&f.EndReason), &f.EndDetail}
	for _, text := range append(texts, names(i)...) {
		parts = append(parts, part{len(*text), func() { *text = atMost(*text, len(*text)/2) }})
	}
	if p := f.Peer; p != nil {
		parts = append(parts, f.peerPart(len(p.Executable), func(p *session.Peer) { p.Executable = atMost(p.Executable, len(p.Executable)/2) }),
			f.peerPart(len(p.Name), func(p *session.Peer) { p.Name = atMost(p.Name, len(p.Name)/2) }))
	}
	for _, header := range slices.Sorted(maps.Keys(f.Claims)) { // of two that are as long, always the same
		claim := f.Claims[header]
		parts = append(parts, part{len(claim), func() {
			f.Claims = maps.Clone(f.Claims)
			f.Claims[header] = atMost(claim, len(claim)/2)
		}})
	}
	return parts
}

// peerPart is a text of the peer's, which others have, too.
func (f *Facts) peerPart(size int, halve func(*session.Peer)) part {
	return part{size, func() {
		p := *f.Peer
		halve(&p)
		f.Peer = &p
	}}
}

// weight is about how long words are in JSON.
func weight(words []string) (n int) {
	for _, word := range words {
		n += len(word) + len(`"",`)
	}
	return n
}

func weightOf(candidates []session.Candidate) (n int) {
	for _, c := range candidates {
		n += weight([]string{c.Namespace, c.Pod, c.Container, c.ContainerID})
	}
	return n
}

// more ends a command that was cut.
const more = "\u2026"

// cutWords returns as much of words as has at most that weight.
func cutWords(words []string, most int) (kept []string) {
	room := most - len(more)
	for _, word := range words {
		if room -= weight([]string{word}); room < 0 {
			if whole := room + len(word); whole > 0 {
				kept = append(kept, atMost(word, whole))
			}
			break
		}
		kept = append(kept, word)
	}
	if last := len(kept) - 1; last >= 0 {
		kept[last] += more
	}
	return kept
}

// atMost returns at most n bytes of s, and no part of a rune.
func atMost(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
