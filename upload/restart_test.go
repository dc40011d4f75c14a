package upload_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"exectape/upload"
)

// Whoever dies between two steps of a delivery leaves to the next what the
// directory says, and nothing else.
func TestWhatWasNotAcknowledgedIsSentAgainByTheNextAndNothingElseIs(t *testing.T) {
	for _, test := range []struct {
		name    string
		trouble func(died chan struct{}) func(*http.Request) trouble
	}{
		{"before the cast has arrived", func(died chan struct{}) func(*http.Request) trouble {
			return always(middle, func(http.ResponseWriter, *http.Request) { <-died })
		}},
		{"before it knows that", func(died chan struct{}) func(*http.Request) trouble {
			return about(".cast", end, func(http.ResponseWriter, *http.Request) { <-died })
		}},
		{"before it knows that of the summary", func(died chan struct{}) func(*http.Request) trouble {
			return about(".json", end, func(http.ResponseWriter, *http.Request) { <-died })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.finished("00000001", 100<<10)
				w.start()
				w.allAcknowledged()
				once := w.recorder.times("00000001")

				died := make(chan struct{})
				w.recorder.is(test.trouble(died))
				w.finished("00000002", 100<<10)
				time.Sleep(5 * time.Second)
				w.stop()
				close(died)
				if n := w.acknowledged(); n != 1 {
					t.Fatalf("%d casts are acknowledged, want the first", n)
				}
				w.recorder.is(nil)
				w.open()
				w.start()
				w.allAcknowledged()
				time.Sleep(time.Hour)
				if n := w.recorder.times("00000001"); n != once {
					t.Errorf("what was acknowledged was sent again: it was asked for %d times, and %d before", n, once)
				}
			})
		})
	}
}

func TestWhoeverStopsItWaitsUntilTheLastCastsAreSentButNotForLong(t *testing.T) {
	t.Run("to a recorder that is well", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			for i := range 10 {
				w.finished(fmt.Sprintf("%08x", i), 1000)
			}
			w.stop()
			if n := w.acknowledged(); n != 10 {
				t.Errorf("%d casts are acknowledged, want all ten", n)
			}
		})
	})
	t.Run("to a black hole", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.recorder.net.goes(func(p []byte, changed <-chan struct{}) []byte { <-changed; return p })
			w.finished("00000001", 1000)
			w.start()
			time.Sleep(time.Second)
			began := time.Now()
			w.stop()
			if took := time.Since(began); took != upload.LastTry {
				t.Errorf("it took %v to stop, want %v", took, upload.LastTry)
			}
			w.recorder.net.goes(nil)
		})
	})
}

// They are replaced as a Secret's files are, at any time.
func TestAClientCertificateIsShownAndMayBeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.secure()
		shown := make(chan *x509.Certificate, 100)
		w.recorder.is(func(r *http.Request) (t trouble) {
			for _, c := range r.TLS.PeerCertificates {
				shown <- c
			}
			return t
		})
		w.config.CertFile, w.config.KeyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
		for i := range 3 {
			pair := newCertificate(t)
			w.show(pair)
			if i == 0 {
				w.start()
			}
			w.finished(fmt.Sprintf("%08x", i), 1000)
			w.allAcknowledged()
			if n := len(shown); n != 2 {
				t.Errorf("a certificate was shown in %d requests, want in that for the cast and that for the summary", n)
			}
			for range len(shown) {
				if c := <-shown; !c.Equal(pair.Leaf) {
					t.Errorf("shown is certificate %d, which is another one", i)
				}
			}
		}
	})
}

// show makes a certificate the Uploader's own.
func (w *world) show(pair *tls.Certificate) {
	w.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	must(w.T, err)
	must(w.T, os.WriteFile(w.config.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	must(w.T, os.WriteFile(w.config.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
}

func TestARecorderThatAsksForAMillionYearsIsGivenAQuarterOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.recorder.is(always(start, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "31536000000000")
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		w.finished("00000001", 1000)
		w.start()
		time.Sleep(time.Minute)
		w.recorder.is(nil)
		time.Sleep(13 * time.Minute)
		if n := w.recorder.times("00000001"); n != 1 {
			t.Errorf("it was asked %d times within 14 minutes, want once", n)
		}
		time.Sleep(2 * time.Minute)
		if n := w.acknowledged(); n != 1 {
			t.Errorf("%d casts are acknowledged after 16 minutes, want it", n)
		}
	})
}

// A small body is sent at once; a large one waits for a word, which a refusal is.
func TestALargeCastThatIsRefusedIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.recorder.is(always(start, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			if large := r.ContentLength >= 64<<10; large != (r.Header.Get("Expect") == "100-continue") {
				t.Errorf("%d bytes come with Expect: %q", r.ContentLength, r.Header.Get("Expect"))
			}
		}))
		var taken atomic.Int64
		w.recorder.net.goes(func(p []byte, _ <-chan struct{}) []byte { taken.Add(int64(len(p))); return p })
		w.finished("00000001", 4<<20)
		w.start()
		time.Sleep(time.Minute)
		if refused := w.files(".refused"); len(refused) != 1 || taken.Load() > 64<<10 {
			t.Errorf("refused is %q, and up to %d bytes were taken", refused, taken.Load())
		}
		w.recorder.net.goes(nil)
		w.finished("00000002", 1000)
		time.Sleep(time.Minute)
	})
}

// A live cast is a courtesy: who has no use for it is asked for it five times,
// and gets the whole in the end.
func TestALiveCastIsTriedFiveTimesAtMostAndThirtyTwoAtOnce(t *testing.T) {
	t.Run("five times", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.config.Live = true
			w.recorder.is(always(start, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
			w.start()
			r := w.begin("00000001")
			r.shows(random(1000))
			time.Sleep(2 * time.Hour)
			if n := w.recorder.times("00000001"); n != 5 {
				t.Errorf("it was sent %d times, want five", n)
			}
			if down := strings.Contains(w.log(), "recorder down"); down {
				t.Error("the recorder is said to be down for that")
			}
			w.recorder.is(nil)
			r.ends()
			w.allAcknowledged()
		})
	})
	t.Run("thirty-two", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.config.Live = true
			w.start()
			var all []*recording
			for i := range 40 {
				all = append(all, w.begin(fmt.Sprintf("%08x", i)))
				all[i].shows(random(1000))
			}
			time.Sleep(time.Minute)
			if asked, _ := w.recorder.counts(); asked != 32 {
				t.Errorf("%d casts are sent while they are live, want 32", asked)
			}
			for _, r := range all {
				r.ends()
			}
			w.allAcknowledged()
		})
	})
}
