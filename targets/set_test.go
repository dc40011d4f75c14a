package targets

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// addrs reads addresses.
func addrs(texts ...string) (list []netip.AddrPort) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddrPort(text))
	}
	return list
}

func TestASetTellsOfEachChange(t *testing.T) {
	var s Set
	list, changed := s.Current()
	if len(list) > 0 {
		t.Errorf("a set that was told nothing has %v", list)
	}
	s.become(addrs("127.0.0.1:2", "127.0.0.1:1"), nil)
	<-changed
	list, changed = s.Current()
	if want := addrs("127.0.0.1:1", "127.0.0.1:2"); !slices.Equal(list, want) {
		t.Errorf("targets = %v, want %v", list, want)
	}
	s.become(addrs("127.0.0.1:1", "127.0.0.1:2"), errors.New("some may be missing"))
	select {
	case <-changed:
		t.Error("it tells of a change to the same targets")
	default:
	}
	if s.Err() == nil {
		t.Error("it does not tell that some may be missing")
	}
}

func TestASetContainsItsTargetsOnly(t *testing.T) {
	s := Fixed(addrs("[::1]:34567", "127.0.0.1:34567")...)
	for _, in := range addrs("127.0.0.1:34567", "[::1]:34567") {
		if !s.Contains(in) {
			t.Errorf("%v is not in it", in)
		}
	}
	for _, out := range addrs("127.0.0.1:34568", "127.0.0.2:34567", "[::2]:34567", "0.0.0.0:34567") {
		if s.Contains(out) {
			t.Errorf("%v is in it", out)
		}
	}
	if new(Set).Contains(netip.AddrPort{}) {
		t.Error("nothing is in an empty one")
	}
}
