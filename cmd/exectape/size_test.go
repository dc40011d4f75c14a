package main

import "testing"

func TestSizesAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]size{
		"0B":            0,
		"1B":            1,
		"1025B":         1025,
		"64KiB":         64 << 10,
		"512MiB":        512 << 20,
		"10GiB":         10 << 30,
		"8589934591GiB": 8589934591 << 30,
	} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got != want || got.String() != text {
			t.Errorf("%s was read as %d and is written %s", text, got, got)
		}
	}
}

func TestWhatIsNoSize(t *testing.T) {
	for _, text := range []string{"", "B", "5", "5 gigs", "1GB", "1 GiB", "-1B", "+1B", "1.5GiB", "1e3B", "8589934592GiB", "99999999999999999999B"} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
