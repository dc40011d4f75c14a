package targets

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// A Set is the targets that are known now. Its methods may be called by anyone
// at any time.
type Set struct {
	mu      sync.Mutex // guards what follows
	list    []netip.AddrPort
	err     error
	changed chan struct{} // closed when list changes
}

// Fixed returns a set that never changes.
func Fixed(list ...netip.AddrPort) *Set { return &Set{list: sorted(list)} }

// Contains reports whether to is a target.
func (s *Set) Contains(to netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := slices.BinarySearchFunc(s.list, to, netip.AddrPort.Compare)
	return found
}

// Current returns the targets, sorted, and a channel that is closed when they
// are no longer these.
func (s *Set) Current() (list []netip.AddrPort, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return slices.Clone(s.list), s.changed
}

// Await waits until there is a target, and returns those that there are then, or
// nothing if ctx ends before.
func (s *Set) Await(ctx context.Context) []netip.AddrPort {
	for {
		list, changed := s.Current()
		if len(list) > 0 {
			return list
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Err returns why targets may be missing, or that there are none.
func (s *Set) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// become makes the set that of list, and err what is wrong with it.
func (s *Set) become(list []netip.AddrPort, err error) {
	list = sorted(list)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if slices.Equal(list, s.list) {
		return
	}
	s.list = list
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func sorted(list []netip.AddrPort) []netip.AddrPort {
	return slices.Compact(slices.SortedFunc(slices.Values(list), netip.AddrPort.Compare))
}
