package intercept

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAProbeThatIsAnsweredLateHasBeenAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		const busy = 2 * time.Second
		begun := time.Now()
		err := firstAnswer(ctx, func(ctx context.Context) error {
			select {
			case <-time.After(busy):
				return nil
			case <-ctx.Done():
				return errNotAccepted
			}
		})
		if took := time.Since(begun); err != nil || took != busy {
			t.Errorf("where accept is %v behind, a probe that may take 3s ends after %v: %v", busy, took, err)
		}
	})
}

func TestAProbeThatIsLostIsOvertakenByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		err := firstAnswer(t.Context(), func(ctx context.Context) error {
			if tries.Add(1) == 1 {
				<-ctx.Done()
				return errNotAccepted
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
