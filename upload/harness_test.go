package upload_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"exectape/session"
	"exectape/sink"
	"exectape/upload"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a directory of casts, a recorder that can be reached from it over
// a network in memory, and an Uploader between them. All but the files is in the
// test's bubble, where a minute takes no time.
type world struct {
	*testing.T
	path     string
	dir      *sink.Dir
	recorder *recorder
	config   upload.Config
	uploader *upload.Uploader
	logged   *observer.ObservedLogs
	stopRun  func()
}

// newWorld returns one in which nothing is sent before start is called.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, path: t.TempDir(), recorder: newRecorder(t)}
	w.config.URL = &url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/casts"} // which no proxy leads to
	w.config.Node = "knödel 7"
	w.open()
	t.Cleanup(w.stop)
	return w
}

// open opens the directory, as a new process does.
func (w *world) open() {
	w.Helper()
	dir, err := sink.OpenDir(w.path, sink.Options{Version: 2}, zap.NewNop())
	must(w.T, err)
	w.Cleanup(func() { _ = dir.Close() })
	w.dir = dir
}

// start starts an Uploader.
func (w *world) start() {
	core, logged := observer.New(zapcore.DebugLevel)
	w.logged = logged
	w.uploader = upload.New(w.dir, w.config, zap.New(core))
	w.uploader.Dial(w.recorder.net.dial)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.uploader.Run(ctx) }()
	w.stopRun = sync.OnceFunc(func() { cancel(); <-done })
}

func (w *world) stop() {
	if w.stopRun != nil {
		w.stopRun()
	}
}

// A recording is a session that goes on.
type recording struct {
	session.Recorder
	w     *world
	start time.Time
}

func (w *world) begin(id string) *recording {
	w.Helper()
	start := time.Now()
	r, err := w.dir.Open(session.Info{ID: id, Start: start, Verb: "exec", Protocol: "spdy", Target: netip.MustParseAddrPort("127.0.0.1:34567")})
	must(w.T, err)
	return &recording{r, w, start}
}

// shows records output.
func (r *recording) shows(data []byte) {
	r.w.Helper()
	must(r.w.T, r.Record(session.Event{Kind: session.Output, At: time.Since(r.start), Stream: session.Stdout, Data: data}))
	must(r.w.T, r.Commit(nil))
}

// ends finishes the cast.
func (r *recording) ends() {
	r.w.Helper()
	must(r.w.T, r.Close(session.End{At: time.Since(r.start), Reason: session.EndCompleted}))
}

// finished makes a finished cast of about so many bytes.
func (w *world) finished(id string, size int) {
	w.Helper()
	r := w.begin(id)
	r.shows(random(size))
	r.ends()
}

// random returns bytes that don't compress, the same for each size.
func random(size int) []byte {
	b := make([]byte, size/2)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return []byte(hex.EncodeToString(b))
}

// eventually waits until something is so, in the time that tests may have.
func (w *world) eventually(what string, so func() bool) {
	w.Helper()
	for range 24 * 60 * 60 {
		if so() {
			return
		}
		time.Sleep(time.Second)
	}
	w.Fatalf("after a day it is still not so that %s; the log:\n%s", what, w.log())
}

func (w *world) log() string {
	var all strings.Builder
	for _, e := range w.logged.All() {
		fmt.Fprintln(&all, e.Time.Format(time.TimeOnly), e.Level, e.Message, e.ContextMap())
	}
	return all.String()
}

// files returns the names in the directory that end in suffix.
func (w *world) files(suffix string) []string {
	w.Helper()
	paths, err := filepath.Glob(filepath.Join(w.path, "*"+suffix))
	must(w.T, err)
	for i, path := range paths {
		paths[i] = filepath.Base(path)
	}
	return paths
}

// allAcknowledged waits until all casts are, and checks that the recorder has
// what the directory has, and that this is what the summaries say.
func (w *world) allAcknowledged() {
	w.Helper()
	w.eventually("every cast is acknowledged", func() bool {
		spool, err := w.dir.Spool()
		must(w.T, err)
		return len(spool.Waiting)+len(spool.Live) == 0
	})
	for _, name := range w.files(".cast") {
		w.arrived(name)
	}
}

// arrived checks that the recorder has a cast and its summary, as they are in
// the directory.
func (w *world) arrived(name string) {
	w.Helper()
	beside := strings.TrimSuffix(name, ".cast") + ".json"
	summary := w.recorder.file(beside)
	if !bytes.Equal(summary, w.read(beside)) {
		w.Errorf("%s arrived as %q", beside, summary)
	}
	var s session.Summary
	if err := json.Unmarshal(summary, &s); err != nil {
		w.Errorf("%s: %v", beside, err)
	}
	got := w.recorder.file(name)
	if w.config.Gzip {
		got = w.unzip(w.recorder.file(name + ".gz"))
	}
	sum := sha256.Sum256(got)
	if hex.EncodeToString(sum[:]) != s.SHA256 || !bytes.Equal(got, w.read(name)) {
		w.Errorf("%s arrived with %d bytes, which are not those of the directory's %d", name, len(got), len(w.read(name)))
	}
}

func (w *world) unzip(b []byte) []byte {
	w.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		w.Errorf("not gzip: %v", err)
		return nil
	}
	all, err := io.ReadAll(z)
	if err != nil {
		w.Errorf("gzip: %v", err)
	}
	return all
}

func (w *world) read(name string) []byte {
	w.Helper()
	b, err := os.ReadFile(filepath.Join(w.path, name))
	must(w.T, err)
	return b
}

// A recorder keeps what is put below /casts, if nothing is the matter with it.
type recorder struct {
	t    *testing.T
	net  *network
	gone chan struct{} // closed at the test's end

	wrong atomic.Bool // its certificate is another's

	mu      sync.Mutex // guards all below
	files   map[string][]byte
	asked   []string // the names of all that was put, or tried to
	arrived []string // the names of what was, in that order
	trouble func(r *http.Request) trouble
}

// A trouble is what a recorder does to a request instead of what it should.
type trouble struct {
	at point
	do func(w http.ResponseWriter, r *http.Request)
}

// A point is when in an upload something happens.
type point string

const (
	none   point = ""
	start  point = "start"  // before a byte of the body is read
	middle point = "middle" // when half of it is
	end    point = "end"    // when all of it is, and kept
)

func newRecorder(t *testing.T) *recorder {
	rec := &recorder{t: t, net: newNetwork(), gone: make(chan struct{}), files: map[string][]byte{}}
	rec.serve(rec.net)
	t.Cleanup(func() { close(rec.gone) })
	return rec
}

// serve answers whom ln accepts, until the test's end.
func (rec *recorder) serve(ln net.Listener) {
	server := &http.Server{Handler: rec, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error)
	go func() { served <- server.Serve(ln) }()
	rec.t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			rec.t.Error(err)
		}
	})
}

// is says what the matter is from now on; nil: nothing.
func (rec *recorder) is(trouble func(r *http.Request) trouble) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.trouble = trouble
}

// always is the same trouble for everyone.
func always(at point, do func(w http.ResponseWriter, r *http.Request)) func(*http.Request) trouble {
	return func(*http.Request) trouble { return trouble{at, do} }
}

func (rec *recorder) file(name string) []byte {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.files[name]
}

func (rec *recorder) begun(r *http.Request, name string) (t trouble) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.asked = append(rec.asked, name)
	if rec.trouble != nil {
		t = rec.trouble(r)
	}
	return t
}

func (rec *recorder) keep(name string, body []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.files[name] = body
	rec.arrived = append(rec.arrived, name)
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/casts/")
	if !ok || r.Method != http.MethodPut {
		rec.t.Errorf("%s %s, want PUTs below /casts", r.Method, r.URL.Path)
	}
	if node := r.Header.Get("Exectape-Node"); node != "kn%C3%B6del%207" {
		rec.t.Errorf("%s: from node %q", name, node)
	}
	t := rec.begun(r, name)
	if t.at == start {
		t.do(w, r)
		return
	}
	half, err := io.ReadAll(io.LimitReader(r.Body, max(r.ContentLength/2, sink0)))
	if err == nil && t.at == middle {
		t.do(w, r)
		return
	}
	rest, err := io.ReadAll(r.Body)
	if err != nil {
		return // as servers do: what did not come whole is not kept
	}
	rec.keep(name, append(half, rest...))
	if t.at == end {
		t.do(w, r)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// sink0 is what is read of a body of unknown size until its middle: a header.
const sink0 = 4096

// A network connects whoever dials with whoever listens.
type network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex // guards what follows
	dead    error      // of each dial; nil: the network works
	tried   int        // dials
	open    []net.Conn // that were accepted
	pace    func(p []byte, changed <-chan struct{}) []byte
	changed chan struct{} // closed when the pace is another one
}

func newNetwork() *network {
	return &network{conns: make(chan net.Conn), closed: make(chan struct{}), changed: make(chan struct{})}
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	n.tried++
	err := n.dead
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
	case <-n.closed:
	}
	return nil, errors.Join(net.ErrClosed, ours.Close(), theirs.Close())
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		n.mu.Lock()
		defer n.mu.Unlock()
		n.open = append(n.open, c)
		return paced{c, n}, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// dies makes each dial fail, or with nil no longer.
func (n *network) dies(why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = why
}

// cut ends all connections.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.open {
		_ = c.Close()
	}
	n.open = nil
}

// goes has the recorder read at that pace, all connections: it is asked before
// each read of how much. With nil it reads as it likes.
func (n *network) goes(pace func(p []byte, changed <-chan struct{}) []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pace = pace
	close(n.changed)
	n.changed = make(chan struct{})
}

// A paced is the recorder's end of a connection.
type paced struct {
	net.Conn
	n *network
}

func (c paced) Read(p []byte) (int, error) {
	c.n.mu.Lock()
	pace, changed := c.n.pace, c.n.changed
	c.n.mu.Unlock()
	if pace != nil {
		p = pace(p, changed)
	}
	return c.Conn.Read(p)
}

func (n *network) Close() error   { n.once.Do(func() { close(n.closed) }); return nil }
func (n *network) Addr() net.Addr { return &net.UnixAddr{} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
