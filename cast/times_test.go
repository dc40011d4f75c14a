package cast_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"exectape/cast"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

func TestTheTimesOfV3AddUpToThoseOfV2(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	two, three := cast.NewEncoder(2, info), cast.NewEncoder(3, info)
	file2, file3 := two.Header().Slot(), three.Header().Slot()
	var at time.Duration
	for range 10000 {
		at += time.Duration(random.Int64N(int64(3 * time.Microsecond)))
		ev := session.Event{Kind: session.Output, Stream: session.Stdout, At: at, Data: []byte("x")}
		file2, _ = two.Append(file2, ev)
		file3, _ = three.Append(file3, ev)
	}
	_, events2 := decoded(t, file2)
	_, events3 := decoded(t, file3)
	if diff := cmp.Diff(events2, events3); diff != "" {
		t.Errorf("(-v2 +v3):\n%.2000s", diff)
	}
}

func TestTimesNeverGoBack(t *testing.T) {
	e := cast.NewEncoder(3, info)
	file := e.Header().Slot()
	for _, at := range []time.Duration{5, 3, 9} {
		file, _ = e.Append(file, session.Event{Kind: session.Output, Stream: session.Stdout, At: at * time.Second, Data: []byte("x")})
	}
	_, events := decoded(t, file)
	var got []time.Duration
	for _, ev := range events {
		got = append(got, ev.At/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{5, 5, 9}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTimesDoNotOverflow(t *testing.T) {
	file := "{\"version\": 3}\n" + strings.Repeat("[1e300, \"m\", \"\"]\n", 20) + "[-1, \"m\", \"\"]\n"
	_, events := decoded(t, []byte(file))
	for _, ev := range events {
		if ev.At != events[0].At || ev.At <= 0 {
			t.Errorf("at %v", ev.At)
		}
	}
}
