package sink_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"exectape/session"
	"exectape/sink"
)

// The hour takes no time, and in it nobody calls the disk but the prober.
func TestHoweverManySessionsWaitForADiskItIsAskedOnceASecond(t *testing.T) {
	disk, ok := aDisk(t, "tmpfs", "size=48m")
	if !ok {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		const sessions, minutes = 2000, 60
		d := newDiskDir(t, disk, sink.Options{Timeout: 5 * time.Second})
		all := make([]*talk, sessions)
		for i := range all {
			all[i] = &talk{t: t, r: begin(t, d.Dir, fmt.Sprintf("%08x", i))}
		}
		throwOut := ballast(t, disk, 0)
		for _, s := range all {
			for s.say(sentence) == nil { // there is a little room behind each cast
			}
		}
		before := writes(t)
		for range minutes {
			time.Sleep(time.Minute)
			for _, s := range all {
				if err := s.say(sentence); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("error = %v", err)
				}
			}
		}
		if tried := writes(t) - before; tried < minutes*30 || tried > minutes*90 {
			t.Errorf("%d write(2) within %d minutes, want one a second", tried, minutes)
		}
		throwOut()
		d.logs(backAgain)
		lost := int64(0)
		for _, s := range all {
			must(t, s.say("and on it goes\n"))
			must(t, s.r.Close(session.End{Reason: session.EndCompleted}))
			lost += s.lost
		}
		if missing := missing(t, d); missing != lost {
			t.Errorf("%d bytes are said to be missing, want %d", missing, lost)
		}
	})
}

// writes is how many write(2), or pwrite(2), this process has made, whatever
// became of them.
func writes(t *testing.T) (n int) {
	t.Helper()
	file, err := os.Open("/proc/self/io")
	must(t, err)
	defer file.Close()
	var other int
	_, err = fmt.Fscanf(file, "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\n", &other, &other, &other, &n)
	must(t, err)
	return n
}

// missing is how many bytes all casts of a directory are said to lack.
func missing(t *testing.T, d *diskDir) (bytes int64) {
	t.Helper()
	list, err := sink.List(d.path)
	must(t, err)
	for _, e := range list {
		for _, gap := range e.Summary.Gaps {
			bytes += gap.Bytes
		}
	}
	return bytes
}
