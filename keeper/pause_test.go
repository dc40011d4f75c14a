package keeper

import (
	"testing"
	"time"
)

func TestALookThatCostsMuchIsRarer(t *testing.T) {
	for _, row := range []struct{ interval, cost, want time.Duration }{
		{2 * time.Second, 0, 2 * time.Second},
		{2 * time.Second, 20 * time.Millisecond, 2 * time.Second},
		{2 * time.Second, 500 * time.Millisecond, 10 * time.Second},
		{time.Minute, 500 * time.Millisecond, time.Minute},
	} {
		if got := pause(row.interval, row.cost); got != row.want {
			t.Errorf("with an interval of %s, after a look of %s: %s, want %s", row.interval, row.cost, got, row.want)
		}
	}
}
