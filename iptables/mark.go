package iptables

import (
	"fmt"
	"strconv"
	"strings"
)

// A Mark is a packet mark and the bits of it that count.
type Mark struct{ Value, Mask uint32 }

// String is the mark as iptables prints it: no mask where every bit counts.
func (m Mark) String() string {
	if m.Mask == ^uint32(0) {
		return fmt.Sprintf("0x%x", m.Value)
	}
	return fmt.Sprintf("0x%x/0x%x", m.Value, m.Mask)
}

// UnmarshalText reads what String prints, the numbers in any base of Go's. A
// mark that every unmarked packet bears, or that none can, is refused.
func (m *Mark) UnmarshalText(text []byte) error {
	value, mask, masked := strings.Cut(string(text), "/")
	if !masked {
		mask = "0xffffffff"
	}
	v, errValue := strconv.ParseUint(value, 0, 32)
	k, errMask := strconv.ParseUint(mask, 0, 32)
	switch {
	case errValue != nil || errMask != nil:
		return fmt.Errorf("%q is not a mark; write VALUE/MASK in 32 bits, as in 0x2000/0x2000", text)
	case v == 0:
		return fmt.Errorf("mark %q is the mark of every packet that has none; write a value above zero, as in 0x2000/0x2000", text)
	case v&^k != 0:
		return fmt.Errorf("mark %q has bits that its mask hides, so no packet matches it; write a mask that covers the value, as in 0x2000/0x2000", text)
	}
	*m = Mark{Value: uint32(v), Mask: uint32(k)}
	return nil
}
