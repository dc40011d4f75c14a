package cast_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"exectape/cast"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

var sameAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func TestTheFirstResizeBecomesTheHeadersSize(t *testing.T) {
	for _, version := range []int{2, 3} {
		header, events := decoded(t, write(version, stories["terminal"]))
		if want := (session.Size{Cols: 132, Rows: 43}); header.Size != want {
			t.Errorf("v%d: header size = %v, want %v", version, header.Size, want)
		}
		var resizes []string
		for _, ev := range events {
			if ev.Code == "r" {
				resizes = append(resizes, ev.Data)
			}
		}
		if diff := cmp.Diff([]string{"81x25"}, resizes); diff != "" {
			t.Errorf("v%d: resizes (-want +got):\n%s", version, diff)
		}
	}
}

func TestAHeaderCanBeMadeAgainFromTheEvents(t *testing.T) {
	for name, s := range stories {
		file := write(2, s)
		header, events := decoded(t, file)
		var last cast.Header
		for _, ev := range events {
			if ev.Code == "h" {
				if err := json.Unmarshal([]byte(ev.Data), &last); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(header, last, sameAddr); diff != "" {
			t.Errorf("%s (-header +last h):\n%s", name, diff)
		}
	}
}

func TestAHeaderAlwaysFitsItsSlot(t *testing.T) {
	long := strings.Repeat("\x00\"é", 10000)
	tests := []struct {
		name string
		info session.Info
		exit string
	}{
		{"a runtime that says much", info, long},
		{"a server that names a subprotocol nobody knows", session.Info{Subprotocol: long}, ""},
		{"long texts everywhere", session.Info{ID: long, Node: long, Verb: long, Protocol: long, Subprotocol: long}, long},
		{"an address with a long zone", session.Info{Target: netip.AddrPortFrom(netip.IPv6LinkLocalAllNodes().WithZone(long), 1)}, ""},
	}
	for _, test := range tests {
		for _, version := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s v%d", test.name, version), func(t *testing.T) {
				e := cast.NewEncoder(version, test.info)
				e.Append(nil, exited(session.NoCode, test.exit))
				slot := e.Header().Slot()
				if len(slot) != cast.SlotSize || bytes.IndexByte(slot, '\n') != cast.SlotSize-1 || !json.Valid(slot) {
					t.Errorf("slot of %d bytes: %.200q", len(slot), slot)
				}
			})
		}
	}
}

func TestWhatARuntimeSaidIsCutNoShorterThanItMustBe(t *testing.T) {
	e := cast.NewEncoder(2, info)
	e.Append(nil, exited(session.NoCode, strings.Repeat("no such file. ", 400)))
	var header cast.Header
	if err := json.Unmarshal(e.Header().Slot(), &header); err != nil {
		t.Fatal(err)
	}
	if n := len(header.Facts.EndDetail); n < cast.SlotSize/2 {
		t.Errorf("%d bytes are left", n)
	}
}

func TestWhatARuntimeSaidIsNotLost(t *testing.T) {
	for _, version := range []int{2, 3} {
		header, events := decoded(t, write(version, story{exited(session.NoCode, "no such file")}))
		if header.Facts.ExitCode != nil || header.Facts.EndDetail != "no such file" || header.Facts.EndReason != session.EndCompleted {
			t.Errorf("v%d: header has %+v", version, header.Facts)
		}
		for _, ev := range events {
			if ev.Code == "x" {
				t.Errorf("v%d: exit status %q without a code", version, ev.Data)
			}
		}
	}
}
