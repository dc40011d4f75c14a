package iptables

import (
	"strings"
	"testing"
)

func TestMarksAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]Mark{
		"0x2000/0x2000":         {0x2000, 0x2000},
		"0x1/0xff":              {1, 0xff},
		"0x2000":                {0x2000, 0xffffffff},
		"0xffffffff":            {0xffffffff, 0xffffffff},
		"0x80000000/0xf0000000": {0x80000000, 0xf0000000},
	} {
		var got Mark
		if err := got.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got != want {
			t.Errorf("%s was read as %#v, want %#v", text, got, want)
		}
		if got.String() != text {
			t.Errorf("%s is written as %s", text, got)
		}
	}
	var decimal Mark
	if err := decimal.UnmarshalText([]byte("8192/0x2000")); err != nil || decimal != (Mark{0x2000, 0x2000}) {
		t.Errorf("8192/0x2000 was read as %v, %v", decimal, err)
	}
}

func TestMarksThatCannotWorkAreRefused(t *testing.T) {
	for text, why := range map[string]string{
		"":                "not a mark",
		"exectape":        "not a mark",
		"0x2000/":         "not a mark",
		"/0x2000":         "not a mark",
		"0x2000/0x2000/1": "not a mark",
		"-1":              "not a mark",
		"0x100000000":     "not a mark",
		"0/0x2000":        "the mark of every packet that has none",
		"0":               "the mark of every packet that has none",
		"0x3000/0x2000":   "bits that its mask hides",
		"0x2000/0":        "bits that its mask hides",
	} {
		before := Mark{1, 1}
		m := before
		err := m.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "0x2000/0x2000") {
			t.Errorf("%q: error %v, want one with %q and an example", text, err, why)
		}
		if m != before {
			t.Errorf("%q was refused and yet made the mark %v", text, m)
		}
	}
}
