package intercept

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatACrowdTookIsGivenBackOnceItIsQuiet(t *testing.T) {
	collected := func() uint32 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.NumForcedGC
	}
	synctest.Test(t, func(t *testing.T) {
		s := new(Server)
		go s.Tidy(t.Context())
		before := collected()
		for range tidyLeast {
			time.Sleep(tidyEvery / 2)
			if collected() > before {
				t.Fatal("it was tidied while sessions began")
			}
			s.admit()
			s.leave()
		}
		time.Sleep(3 * tidyEvery)
		if collected() == before {
			t.Error("it was not tidied when no session began any more")
		}
		before = collected()
		time.Sleep(time.Hour)
		if collected() > before {
			t.Error("it was tidied where nothing had happened")
		}
	})
}
