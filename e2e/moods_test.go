package e2e_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// moods are what a recorder can be like until it is well again.
var moods = map[string]mood{
	"500":                                 {answer: answering(http.StatusInternalServerError)},
	"429, and asks for a second":          {answer: answering(http.StatusTooManyRequests, "Retry-After", "1")},
	"a full disk, 507":                    {answer: answering(http.StatusInsufficientStorage)},
	"an expired token":                    {token: "new"},
	"a wrong certificate":                 {stranger: true},
	"a reset in the middle of the bodies": {read: func(conn net.Conn, _ <-chan struct{}) int { reset(conn); return 0 }},
	"a black hole":                        {read: func(_ net.Conn, well <-chan struct{}) int { <-well; return 1 << 20 }},
	"one byte a second": {read: func(_ net.Conn, well <-chan struct{}) int {
		select {
		case <-time.After(time.Second):
		case <-well:
		}
		return 1
	}},
}

// A mood is one of them. The zero value is that of a recorder that is well.
type mood struct {
	answer   http.HandlerFunc                                  // instead of taking anything
	token    string                                            // that it demands
	stranger bool                                              // its certificate is another's
	read     func(conn net.Conn, well <-chan struct{}) (n int) // before each read of a body; how much of it
}

func answering(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if len(header) > 0 {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(code)
	}
}

func reset(conn net.Conn) {
	tcp := conn.(*tls.Conn).NetConn().(*net.TCPConn)
	_ = tcp.SetLinger(0)
	_ = tcp.Close()
}

// Each session runs to its end while the recorder is like that: only then is it
// made well.
func TestSessionsAreAsEverWhateverTheRecorderIsLikeAndAllArrives(t *testing.T) {
	for name, mood := range moods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runtime, rec := startLocal(t), startMoody(t)
			e, k := startUploader(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_HTTP_LIVE=true",
				"EXECTAPE_HTTP_URL="+rec.URL+"/casts", "EXECTAPE_HTTP_TOKEN_FILE="+rec.token, "EXECTAPE_HTTP_CA_FILE="+rec.authority)
			for _, since := range []string{"start", "middle", "end"} {
				now := func(moment string) {
					if moment == since {
						rec.is(t, mood)
					}
				}
				now("start")
				rec.forgetsAsking()
				u := run(t, k, runtime, cat)
				text := random(1 << 16)
				u.types(text)
				u.seesBytes(len(text))
				if since == "middle" {
					rec.isAsked(t) // for the live cast
				}
				now("middle")
				u.types(text)
				u.seesBytes(2 * len(text))
				now("end")
				u.endsStdin()
				got := u.leaves()
				r := e.recorded()
				r.wantAnswer(got)
				rec.isWell(t)
				e.logs("cast sent")
				rec.wantArrived(t, r.file)
			}
		})
	}
}

// A moody recorder keeps what is put, when it is well.
type moody struct {
	*httptest.Server
	token     string // the file with the token that is sent
	authority string // the file with that of its certificate
	foreign   *tls.Config
	asked     chan struct{}

	mu    sync.Mutex // guards what follows
	mood  mood
	well  chan struct{} // closed when the mood has passed
	files map[string][]byte
}

func startMoody(t *testing.T) *moody {
	t.Helper()
	directory := t.TempDir()
	rec := &moody{
		token: filepath.Join(directory, "token"), authority: filepath.Join(directory, "ca.pem"),
		foreign: foreign(t), asked: make(chan struct{}, 1), well: make(chan struct{}), files: map[string][]byte{},
	}
	rec.Server = httptest.NewUnstartedServer(rec)
	rec.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if mood, _ := rec.now(); mood.stranger {
			return rec.foreign, nil
		}
		return nil, nil // as ever
	}}
	rec.Config.ErrorLog = log.New(io.Discard, "", 0)
	rec.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	rec.StartTLS()
	t.Cleanup(func() {
		rec.isWell(t)
		rec.CloseClientConnections()
		rec.Close()
	})
	rec.write(t, rec.token, []byte("old"))
	rec.write(t, rec.authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rec.Certificate().Raw}))
	return rec
}

// connKey is that of a request's connection.
type connKey struct{}

func (rec *moody) write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// is puts the recorder in a mood. With that goes every connection that would
// not notice.
func (rec *moody) is(t *testing.T, m mood) {
	t.Helper()
	rec.mu.Lock()
	rec.mood = m
	rec.mu.Unlock()
	if m.stranger {
		rec.CloseClientConnections()
	}
}

// isWell ends the mood.
func (rec *moody) isWell(t *testing.T) {
	t.Helper()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.mood.token != "" { // an expired one is replaced by the operator
		rec.write(t, rec.token, []byte(rec.mood.token))
	}
	rec.mood = mood{}
	close(rec.well)
	rec.well = make(chan struct{})
}

func (rec *moody) now() (mood, <-chan struct{}) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.mood, rec.well
}

// forgetsAsking has isAsked wait for a request that is still to come.
func (rec *moody) forgetsAsking() {
	select {
	case <-rec.asked:
	default:
	}
}

// isAsked waits for a request.
func (rec *moody) isAsked(t *testing.T) {
	t.Helper()
	select {
	case <-rec.asked:
	case <-patiently(t).Done():
		t.Fatal("nobody asks the recorder")
	}
}

func (rec *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case rec.asked <- struct{}{}:
	default:
	}
	m, _ := rec.now()
	switch {
	case m.answer != nil:
		m.answer(w, r)
		return
	case m.token != "" && r.Header.Get("Authorization") != "Bearer "+m.token:
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(felt{r.Body, rec, r.Context().Value(connKey{}).(net.Conn)})
	if err != nil {
		return // as servers do: what did not come whole is not kept
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.files[filepath.Base(r.URL.Path)] = body
	w.WriteHeader(http.StatusCreated)
}

// A felt body is read as the mood is.
type felt struct {
	io.Reader
	rec  *moody
	conn net.Conn
}

func (f felt) Read(p []byte) (int, error) {
	if m, well := f.rec.now(); m.read != nil {
		p = p[:min(len(p), m.read(f.conn, well))]
	}
	return f.Reader.Read(p)
}

// wantArrived fails the test unless the recorder has a cast and its summary as
// they are in the directory.
func (rec *moody) wantArrived(t *testing.T, cast string) {
	t.Helper()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, file := range []string{cast, strings.TrimSuffix(cast, ".cast") + ".json"} {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := rec.files[filepath.Base(file)]; !bytes.Equal(got, want) {
			t.Errorf("%s arrived with %d bytes, which are not the directory's %d", filepath.Base(file), len(got), len(want))
		}
	}
}

// foreign returns the configuration of a server that nobody trusts.
func foreign(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{signed}, PrivateKey: key}}}
}
