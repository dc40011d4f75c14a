package upload_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A failing is what a recorder, or the way to it, can be like for a while.
type failing struct {
	name       string
	begin, end func(w *world)
}

var failings = []failing{
	answering("500", http.StatusInternalServerError),
	answering("429, and asks for two minutes", http.StatusTooManyRequests, "Retry-After", "120"),
	answering("a full disk, 507", http.StatusInsufficientStorage),
	{"a reset of every connection",
		func(w *world) {
			w.recorder.is(always(middle, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
			w.recorder.net.cut()
		},
		func(w *world) { w.recorder.is(nil) }},
	{"a black hole",
		func(w *world) {
			w.recorder.net.goes(func(p []byte, changed <-chan struct{}) []byte { <-changed; return p })
		},
		func(w *world) { w.recorder.net.goes(nil) }},
	{"one byte a second",
		func(w *world) {
			w.recorder.net.goes(func(p []byte, changed <-chan struct{}) []byte {
				select {
				case <-time.After(time.Second):
				case <-changed:
				}
				return p[:min(1, len(p))]
			})
		},
		func(w *world) { w.recorder.net.goes(nil) }},
	{"an expired token",
		func(w *world) {
			w.recorder.is(func(r *http.Request) (t trouble) {
				if r.Header.Get("Authorization") != "Bearer new" {
					t = trouble{start, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }}
				}
				return t
			})
		},
		func(w *world) { w.token("new") }},
	{"a wrong certificate",
		func(w *world) { w.recorder.wrong.Store(true); w.recorder.net.cut() },
		func(w *world) { w.recorder.wrong.Store(false) }},
	{"nothing: it is gone, and back after ten minutes",
		func(w *world) { w.recorder.net.dies(syscall.ECONNREFUSED); w.recorder.net.cut() },
		func(w *world) { w.recorder.net.dies(nil) }},
}

// answering is a recorder that has the same answer for everyone.
func answering(name string, code int, header ...string) failing {
	return failing{name,
		func(w *world) {
			w.recorder.is(always(start, func(w http.ResponseWriter, _ *http.Request) {
				if len(header) > 0 {
					w.Header().Set(header[0], header[1])
				}
				w.WriteHeader(code)
			}))
		},
		func(w *world) { w.recorder.is(nil) },
	}
}

// token has the Uploader send another one.
func (w *world) token(is string) {
	w.Helper()
	if w.config.TokenFile == "" {
		w.config.TokenFile = filepath.Join(w.TempDir(), "token")
	}
	must(w.T, os.WriteFile(w.config.TokenFile, []byte(is), 0o600))
}

func TestWhateverARecorderIsLikeAndSinceWhenEverythingArrivesInTheEnd(t *testing.T) {
	for _, f := range failings {
		for _, since := range []point{start, middle, end} {
			for _, live := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, since the %s of a session, live=%v", f.name, since, live), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						w.config.Live = live
						w.secure()
						w.token("old")
						w.start()
						w.finished("00000001", 5000)
						w.allAcknowledged()

						now := func(p point) {
							if p == since {
								f.begin(w)
							}
						}
						began := time.Now()
						now(start)
						r := w.begin("00000002")
						r.shows(random(300 << 10))
						time.Sleep(10 * time.Second) // so that it is streamed, if ever
						now(middle)
						r.shows(random(200 << 10))
						time.Sleep(10 * time.Second)
						now(end)
						r.ends()
						if took := time.Since(began); took != 20*time.Second {
							t.Errorf("the session took %v, want the 20 seconds in which it waited for nobody but itself", took)
						}

						time.Sleep(10 * time.Minute)
						if n := len(w.files(".acknowledged")); n != 1 {
							t.Errorf("%d casts are acknowledged, want that from before", n)
						}
						f.end(w)
						w.allAcknowledged()
						if n := len(w.files(".acknowledged")); n != 2 || len(w.files(".refused")) > 0 {
							t.Errorf("%d casts acknowledged, %q refused for good", n, w.files(".refused"))
						}
					})
				})
			}
		}
	}
}

// secure has the recorder speak TLS only, with a certificate that the Uploader
// trusts, unless it is wrong.
func (w *world) secure() {
	w.Helper()
	right, wrong := newCertificate(w.T), newCertificate(w.T)
	w.config.CAFile = filepath.Join(w.TempDir(), "ca.pem")
	must(w.T, os.WriteFile(w.config.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: right.Certificate[0]}), 0o600))
	w.config.URL.Scheme = "https"
	w.recorder.net = newNetwork()
	w.recorder.serve(tls.NewListener(w.recorder.net, &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if w.recorder.wrong.Load() {
				return wrong, nil
			}
			return right, nil
		},
		ClientAuth: tls.RequestClientCert,
	}))
}

// newCertificate returns one for the recorder, which is its own authority.
func newCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	leaf, err := x509.ParseCertificate(signed)
	must(t, err)
	return &tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key, Leaf: leaf}
}
