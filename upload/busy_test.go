package upload_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// However many casts wait, a recorder that takes nothing is asked by one after
// the other, a few times at first and then once or twice a minute.
func TestARecorderThatIsDownIsAskedOnceOrTwiceAMinute(t *testing.T) {
	for _, f := range failings {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.secure()
				w.token("old")
				f.begin(w)
				for i := range 20 {
					w.finished(fmt.Sprintf("%08x", i), 100)
				}
				w.start()
				time.Sleep(10 * time.Minute)
				asked, dialled := w.recorder.counts()
				// Who asks for two minutes is given them.
				if times := max(asked, dialled); times < 10/3 || times > 20+2*10 {
					t.Errorf("within 10 minutes it was asked %d times, over %d connections", asked, dialled)
				}
				f.end(w)
				w.allAcknowledged()
			})
		})
	}
}

// counts is how many requests came, and how many connections were tried.
func (rec *recorder) counts() (asked, dialled int) {
	rec.mu.Lock()
	asked = len(rec.asked)
	rec.mu.Unlock()
	rec.net.mu.Lock()
	defer rec.net.mu.Unlock()
	return asked, rec.net.tried
}
