package upload_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"exectape/upload"
)

// about is a trouble for whatever is named after a session.
func about(id string, at point, do func(http.ResponseWriter, *http.Request)) func(*http.Request) trouble {
	return func(r *http.Request) (t trouble) {
		if strings.Contains(r.URL.Path, id) {
			t = trouble{at, do}
		}
		return t
	}
}

// times is how often a recorder was asked to take what is named after a session.
func (rec *recorder) times(id string) (n int) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, name := range rec.asked {
		if strings.Contains(name, id) {
			n++
		}
	}
	return n
}

// acknowledged is how many casts are.
func (w *world) acknowledged() int {
	w.Helper()
	return len(w.files(".acknowledged"))
}

func TestACastThatIsRefusedForGoodIsLeftAloneWithTheReasonBesideIt(t *testing.T) {
	for _, code := range []int{400, 404, 405, 411, 413, 422, 451} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.recorder.is(about("00000002", end, func(answer http.ResponseWriter, _ *http.Request) {
					http.Error(answer, "not this\n\x1b[31mone", code)
				}))
				for _, id := range []string{"00000001", "00000002", "00000003"} {
					w.finished(id, 1000)
				}
				w.start()
				time.Sleep(time.Hour)
				if n := w.acknowledged(); n != 2 {
					t.Errorf("%d casts are acknowledged, want the two others", n)
				}
				if n := w.recorder.times("00000002"); n != 1 {
					t.Errorf("it was sent %d times, want once", n)
				}
				stats := w.uploader.Stats()
				if stats.LastSuccess = (time.Time{}); stats != (upload.Stats{Sent: 2, Refused: 1}) {
					t.Errorf("the stats are %+v, want two casts that were sent, and one refused", stats)
				}
				refused := w.files(".refused")
				if len(refused) != 1 {
					t.Fatalf("refused for good: %q, want one", refused)
				}
				if why := string(w.read(refused[0])); !strings.Contains(why, http.StatusText(code)+": not this [31mone\n") {
					t.Errorf("the reason beside it is %q", why)
				}

				w.stop() // the next process leaves it alone, too
				w.open()
				w.start()
				time.Sleep(time.Hour)
				if n := w.recorder.times("00000002"); n != 1 {
					t.Errorf("after a new start it was sent %d times, want once", n)
				}
				w.recorder.is(nil)
				must(t, os.Remove(filepath.Join(w.path, refused[0])))
				w.allAcknowledged()
				if n := w.acknowledged(); n != 3 {
					t.Errorf("%d casts are acknowledged, want all three", n)
				}
			})
		})
	}
}

func TestACastThatAlwaysFailsHoldsUpNoOther(t *testing.T) {
	for name := range troubles(nil) {
		if strings.Contains(name, "asks for") {
			continue // which whoever sends respects for all
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.recorder.is(about("00000001", start, troubles(w.recorder)[name]))
				w.finished("00000001", 1000)
				w.start()
				time.Sleep(10 * time.Minute) // the recorder is thought to be down by now
				w.finished("00000002", 1000)
				w.eventually("the second cast is acknowledged", func() bool { return w.acknowledged() == 1 })
				began := time.Now()
				for _, id := range []string{"00000003", "00000004", "00000005"} {
					w.finished(id, 1000)
				}
				w.eventually("all others are acknowledged", func() bool { return w.acknowledged() == 4 })
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("they took %v", took)
				}
				w.recorder.is(nil)
				w.allAcknowledged()
			})
		})
	}
}

// Of four workers three at most are kept busy by casts of 8 MiB and more.
func TestLargeCastsThatTakeLongHoldUpNoSmallOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.recorder.net.goes(func(p []byte, changed <-chan struct{}) []byte {
			select {
			case <-time.After(time.Second):
			case <-changed:
			}
			return p
		})
		for _, id := range []string{"00000001", "00000002", "00000003", "00000004"} {
			w.finished(id, upload.Large)
		}
		w.start()
		time.Sleep(time.Minute)
		if n := w.acknowledged(); n > 0 {
			t.Fatalf("%d large casts are acknowledged already", n)
		}
		w.finished("00000005", 100)
		time.Sleep(time.Minute)
		if sent := w.files(".acknowledged"); len(sent) != 1 || !strings.Contains(sent[0], "00000005") {
			t.Errorf("acknowledged are %q, want the small one", sent)
		}
		w.recorder.net.goes(nil)
		w.allAcknowledged()
	})
}

func TestTheSummaryComesBehindItsCast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, id := range []string{"00000001", "00000002", "00000003"} {
			w.finished(id, 100<<10)
		}
		w.start()
		w.allAcknowledged()
		for _, name := range w.files(".cast") {
			cast, summary := slices.Index(w.recorder.arrived, name), slices.Index(w.recorder.arrived, strings.TrimSuffix(name, ".cast")+".json")
			if cast < 0 || summary < cast {
				t.Errorf("the order is %q", w.recorder.arrived)
			}
		}
	})
}
