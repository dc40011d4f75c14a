package upload_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// troubles are what a recorder can do wrong, but not for ever.
func troubles(rec *recorder) map[string]func(http.ResponseWriter, *http.Request) {
	answer := func(code int, headers ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(code)
		}
	}
	raw := func(do func(io.Writer)) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				rec.t.Error(err)
				return
			}
			do(conn)
			_ = conn.Close()
		}
	}
	return map[string]func(http.ResponseWriter, *http.Request){
		"300":                               answer(http.StatusMultipleChoices),
		"a redirect":                        answer(http.StatusTemporaryRedirect, "Location", "/elsewhere"),
		"an expired token":                  answer(http.StatusUnauthorized),
		"403":                               answer(http.StatusForbidden),
		"408":                               answer(http.StatusRequestTimeout),
		"417":                               answer(http.StatusExpectationFailed),
		"425":                               answer(http.StatusTooEarly),
		"429":                               answer(http.StatusTooManyRequests),
		"429, and asks for two minutes":     answer(http.StatusTooManyRequests, "Retry-After", "120"),
		"500":                               answer(http.StatusInternalServerError),
		"503, and names a time":             answer(http.StatusServiceUnavailable, "Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)),
		"503, and asks for a million years": answer(http.StatusServiceUnavailable, "Retry-After", "31536000000000"),
		"a full disk":                       answer(http.StatusInsufficientStorage),
		"the end of the connection":         raw(func(io.Writer) {}),
		"nonsense":                          raw(func(w io.Writer) { _, _ = io.WriteString(w, "220 recorder ESMTP\r\n") }),
		"half an answer":                    raw(func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 201 Crea") }),
		"a head without an end": raw(func(w io.Writer) {
			_, err := io.WriteString(w, "HTTP/1.1 201 Created\r\n")
			for err == nil {
				_, err = io.WriteString(w, "X-More: and more, and more, and more, and more\r\n")
			}
		}),
		"an error without an end": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 4096))
			}
		},
		"an answer of one byte a second": raw(func(w io.Writer) {
			_, err := io.WriteString(w, "HTTP/1.1 201 Created\r\nX-Slow: ")
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(w, "o")
			}
		}),
		"a body read at one byte a second": func(_ http.ResponseWriter, r *http.Request) {
			for {
				_, _ = r.Body.Read(make([]byte, 1))
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
					return
				case <-rec.gone:
					return
				}
			}
		},
		"a black hole": func(http.ResponseWriter, *http.Request) { <-rec.gone },
	}
}

func TestEverythingArrivesOnceTheRecorderIsWell(t *testing.T) {
	for name := range troubles(nil) {
		for _, at := range []point{start, middle, end} {
			for _, gzip := range []bool{false, true} {
				if gzip && at != middle {
					continue
				}
				t.Run(fmt.Sprintf("%s at the %s, gzip=%v", name, at, gzip), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						w.config.Gzip = gzip
						w.recorder.is(always(at, troubles(w.recorder)[name]))
						for i, size := range []int{100, 300 << 10, 5000} {
							w.finished(fmt.Sprintf("%08x", i), size)
						}
						w.start()
						time.Sleep(3 * time.Minute)
						if done := w.files(".acknowledged"); len(done) > 0 {
							t.Errorf("acknowledged: %q", done)
						}
						w.recorder.is(nil)
						w.allAcknowledged()
						if refused := w.files(".refused"); len(refused) > 0 {
							t.Errorf("refused for good: %q", refused)
						}
					})
				})
			}
		}
	}
}
