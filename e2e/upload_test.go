package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"exectape/e2e/kubelet"
)

func TestACastGoesToNginxByteForByte(t *testing.T) {
	runtime, recorder := startLocal(t), startNginx(t)
	e, k := startUploader(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_HTTP_URL="+recorder.URL)
	got := run(t, k, runtime, kubelet.Process{Command: shell("seq 100000; exit 3")}).leaves()
	r := e.recorded()
	r.wantAnswer(got)
	e.logs("cast sent")
	recorder.wantArrived(t, r)
}

func TestACastGoesToNginxWhileItsSessionGoesOn(t *testing.T) {
	for _, zipped := range []bool{false, true} {
		t.Run(fmt.Sprintf("gzip=%v", zipped), func(t *testing.T) {
			runtime, recorder := startLocal(t), startNginx(t)
			e, k := startUploader(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_HTTP_URL="+recorder.URL,
				"EXECTAPE_HTTP_LIVE=true", fmt.Sprintf("EXECTAPE_HTTP_GZIP=%v", zipped))
			u := run(t, k, runtime, cat)
			text := random(1 << 17)
			u.types(text)
			u.seesBytes(len(text))
			eventually(t, "nginx has got what the user has seen", func(context.Context) bool {
				return strings.Contains(recorder.part(t), text[:100])
			})
			u.endsStdin()
			u.leaves()
			e.logs("cast sent")
			recorder.wantArrived(t, e.recorded())
		})
	}
}

func TestASessionIsAsEverWhenTheRecorderIsABlackHole(t *testing.T) {
	runtime, recorder := startLocal(t), startBlackHole(t)
	e, k := startUploader(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(), "EXECTAPE_HTTP_URL="+recorder.URL, "EXECTAPE_HTTP_LIVE=true")
	first := run(t, k, runtime, kubelet.Process{Command: shell("echo first; exit 3")}).leaves()
	e.recorded().wantAnswer(first)
	recorder.wantAsked(t) // and whoever asks waits now

	u := run(t, k, runtime, cat)
	for _, line := range []string{"one\n", "two\n"} {
		u.types(line)
		u.sees(line)
	}
	u.endsStdin()
	second := u.leaves()
	r := e.recorded()
	r.wantAnswer(second)
	if sent := e.files(".acknowledged"); len(sent) > 0 {
		t.Fatalf("%q are acknowledged by a black hole", sent)
	}
	recorder.lives()
	for range 2 {
		e.logs("cast sent")
	}
	for _, name := range e.files(".cast") {
		recorder.wantArrived(t, name)
		recorder.wantArrived(t, strings.TrimSuffix(name, ".cast")+".json")
	}
}

func TestTheProxyOfTheEnvironmentIsTaken(t *testing.T) {
	runtime, proxy := startLocal(t), startBlackHole(t)
	proxy.lives()
	e, k := startUploader(t, "EXECTAPE_TARGETS="+runtime.Streaming.String(),
		"EXECTAPE_HTTP_URL=http://recorder.invalid/casts", "HTTP_PROXY="+strings.TrimSuffix(proxy.URL, "/casts"))
	run(t, k, runtime, kubelet.Process{Command: shell("echo hello")}).leaves()
	e.logs("cast sent")
	proxy.wantArrived(t, e.recorded().file)
}

// startUploader starts an exectape that needs no privileges, and returns how a
// kubelet gets through it.
func startUploader(t *testing.T, env ...string) (*exectape, kubelet.Kubelet) {
	t.Helper()
	e := start(t, append(env, "EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN=127.0.0.1:0")...)
	return e, kubelet.Kubelet{Proxy: &url.URL{Scheme: "socks5", Host: e.logs("listening").Text("addr")}}
}

// random returns text that can't be compressed to less than half of it.
func random(size int) string {
	b := make([]byte, size/2)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return hex.EncodeToString(b)
}

// wantArrived fails the test unless nginx has a cast and its summary as they are
// in the directory.
func (n nginx) wantArrived(t *testing.T, r recording) {
	t.Helper()
	for _, name := range []string{r.file, strings.TrimSuffix(r.file, ".cast") + ".json"} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		there := filepath.Join(n.casts, filepath.Base(name))
		got, err := os.ReadFile(there)
		if zipped, zipErr := os.ReadFile(there + ".gz"); zipErr == nil {
			got, err = unzip(zipped)
		}
		if err != nil {
			t.Error(err)
		}
		wantSame(t, filepath.Base(name)+" in nginx", got, want)
	}
}

// part returns what nginx has of an upload that goes on.
func (n nginx) part(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(n.parts, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		return ""
	}
	part, _ := os.ReadFile(names[0]) // it may have ended just now
	if text, _ := unzip(part); len(text) > 0 {
		return string(text)
	}
	return string(part)
}

// unzip returns as much as can be had.
func unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// A blackHole takes connections and says nothing, until it lives: then it keeps
// what is put.
type blackHole struct {
	URL string

	http  *http.Server
	asked chan struct{} // closed when somebody has connected
	alive chan struct{} // closed by lives
	lives func()

	mu    sync.Mutex // guards what follows
	files map[string][]byte
}

func startBlackHole(t *testing.T) *blackHole {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &blackHole{URL: fmt.Sprintf("http://%s/casts", ln.Addr()), files: map[string][]byte{}, asked: make(chan struct{}), alive: make(chan struct{})}
	h.lives = sync.OnceFunc(func() { close(h.alive) })
	asked := sync.OnceFunc(func() { close(h.asked) })
	h.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked()
		<-h.alive
		h.serve(w, r)
	})}
	served := make(chan error)
	go func() { served <- h.http.Serve(ln) }()
	t.Cleanup(func() {
		h.lives()
		_ = h.http.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return h
}

func (h *blackHole) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[filepath.Base(r.URL.Path)] = body
	w.WriteHeader(http.StatusCreated)
}

// wantAsked waits until somebody has fallen in.
func (h *blackHole) wantAsked(t *testing.T) {
	t.Helper()
	select {
	case <-h.asked:
	case <-patiently(t).Done():
		t.Fatal("nobody asks the recorder")
	}
}

// wantArrived fails the test unless it has a file as it is in the directory.
func (h *blackHole) wantArrived(t *testing.T, file string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	wantSame(t, filepath.Base(file)+" in the recorder", h.files[filepath.Base(file)], want)
}
