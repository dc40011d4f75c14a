package intercept

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
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
		time.Sleep(4 * tidyEvery)
		if n := collected() - before; n != 2 {
			t.Errorf("it was tidied %d times when no session began any more, want twice", n)
		}
		before = collected()
		time.Sleep(time.Hour)
		if collected() > before {
			t.Error("it was tidied where nothing had happened")
		}
	})
}

func TestThreadsThatADiskHasTakenAreGivenBack(t *testing.T) {
	threads := func() int {
		t.Helper()
		all, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	const slow = 3 * fewThreads
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	for range slow {
		reading.Go(func() {
			var one [1]byte
			_, _ = unix.Read(pipe[0], one[:]) // as from a disk: it blocks
		})
	}
	eventually(t, "each has a thread", func() bool { return threads() > slow })
	_ = unix.Close(pipe[1])
	reading.Wait()
	_ = unix.Close(pipe[0])
	eventually(t, "their threads have ended", func() bool {
		endThreads()
		return threads() < slow
	})
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to be that " + what)
		}
	}
}
