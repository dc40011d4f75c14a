package iptables

import "testing"

func TestBackendsAreReadAsTheyAreWritten(t *testing.T) {
	for _, want := range []Backend{Auto, NFT, Legacy, Off} {
		var got Backend
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Errorf("%s was read as %s, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "NFT", "nftables", "iptables-legacy"} {
		got := Legacy
		err := got.UnmarshalText([]byte(text))
		if want := `"` + text + `" is no backend of iptables; write auto, nft, legacy or off`; err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
		if got != Legacy {
			t.Errorf("%q was refused and yet made the backend %s", text, got)
		}
	}
}
