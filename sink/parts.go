package sink

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// parts say which files a directory has of one cast.
type parts uint8

const (
	hasLive parts = 1 << iota
	hasCast
	hasSummary
	hasAcknowledged
	hasRefused
)

func (p parts) has(all parts) bool   { return p&all == all }
func (p parts) hasAny(of parts) bool { return p&of != 0 }

// suffixes are the endings of those files. The longer goes first where one ends
// with another.
var suffixes = []struct {
	name string
	part parts
}{
	{liveSuffix, hasLive},
	{castSuffix, hasCast},
	{summarySuffix, hasSummary},
	{acknowledgedSuffix, hasAcknowledged},
	{refusedSuffix, hasRefused},
}

// namesRead is how many names are read at once, so that a directory of 100,000
// casts is not in memory as what it is on the disk.
const namesRead = 1024

// parts returns what there is of each cast, by its stem. It looks at names only:
// what else there is to ask of 300,000 files takes seconds.
func (d *Dir) parts() (map[string]parts, error) {
	self, err := d.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("look for casts: %w", err)
	}
	defer func() { _ = self.Close() }()
	all := make(map[string]parts)
	for {
		names, err := self.Readdirnames(namesRead)
		for _, name := range names {
			for _, s := range suffixes {
				if stem, ok := strings.CutSuffix(name, s.name); ok {
					all[stem] |= s.part
					break
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look for casts: %w", err)
		}
	}
}
