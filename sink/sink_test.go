package sink_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"exectape/cast"
	"exectape/session"
	"exectape/sink"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

var target = netip.MustParseAddrPort("127.0.0.1:34567")

func newInfo(id string) session.Info {
	return session.Info{ID: id, Start: time.Now(), Verb: "exec", Target: target, Protocol: "spdy", Subprotocol: "v4.channel.k8s.io"}
}

func openDir(t *testing.T, path string) *sink.Dir {
	t.Helper()
	d, err := sink.OpenDir(path, sink.Options{Version: 2}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func begin(t *testing.T, d *sink.Dir, id string) session.Recorder {
	t.Helper()
	r, err := d.Open(newInfo(id))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func record(t *testing.T, r session.Recorder, events ...session.Event) {
	t.Helper()
	for _, e := range events {
		must(t, r.Record(e))
	}
	must(t, r.Commit(nil))
}

func output(stream session.Stream, data string) session.Event {
	return session.Event{Kind: session.Output, Stream: stream, Data: []byte(data)}
}

// only returns the one cast in a directory.
func only(t *testing.T, dir string) sink.Entry {
	t.Helper()
	all, err := sink.List(dir)
	must(t, err)
	if len(all) != 1 {
		t.Fatalf("%d casts, want one: %+v", len(all), all)
	}
	return all[0]
}

// each calls what for each event of the cast at path.
func each(t *testing.T, path string, what func(cast.Event)) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	d, err := cast.NewDecoder(bytes.NewReader(b))
	must(t, err)
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		what(ev)
	}
}

// streams returns what the cast at path says that was written and typed, by
// stream.
func streams(t *testing.T, path string) map[session.Stream]string {
	t.Helper()
	var exact cast.Exact
	all := map[session.Stream]string{}
	each(t, path, func(ev cast.Event) {
		stream, data, err := exact.Output(ev)
		must(t, err)
		if len(data) > 0 {
			all[stream] += string(data)
		}
		data, err = exact.Input(ev)
		must(t, err)
		if len(data) > 0 {
			all[session.Stdin] += string(data)
		}
	})
	return all
}

// wire returns what the cast at path says that could not be decoded.
func wire(t *testing.T, path string) map[session.Direction]string {
	t.Helper()
	all := map[session.Direction]string{}
	each(t, path, func(ev cast.Event) {
		from, data, err := cast.Wire(ev)
		must(t, err)
		if len(data) > 0 {
			all[from] += string(data)
		}
	})
	return all
}

// sha returns what sha256sum prints of the file at path.
func sha(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var sameAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

// names returns the names in a directory.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		all = append(all, f.Name())
	}
	return all
}

func TestASessionBecomesACastAndASummary(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	record(t, r,
		session.Event{Kind: session.Opened, Stream: session.Stdout}, session.Event{Kind: session.Opened, Stream: session.Stderr},
		output(session.Stdout, "out\n"), output(session.Stderr, "error\n"),
		session.Event{Kind: session.Input, Stream: session.Stdin, Data: []byte("a password")},
		session.Event{Kind: session.Status, Exit: &session.Exit{Code: 3, Message: "exit code 3"}})
	must(t, r.Close(session.End{At: time.Second, Reason: session.EndCompleted, Detail: "exit code 3"}))

	e := only(t, dir)
	no, three := false, 3
	want := session.Summary{
		ID: "7f3a9c01", Verb: "exec", Protocol: "spdy", Subprotocol: "v4.channel.k8s.io", Target: target, TTY: &no,
		Streams:  session.Streams{Stdout: &session.Count{Bytes: 4}, Stderr: &session.Count{Bytes: 6}},
		ExitCode: &three, EndReason: session.EndCompleted, EndDetail: "exit code 3", Gaps: []session.Loss{},
	}
	want.SHA256 = sha(t, e.Path)
	got := e.Summary
	if d := got.End.Sub(got.Start); d != time.Second {
		t.Errorf("it took %v", d)
	}
	got.Start, got.End = time.Time{}, time.Time{}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[session.Stream]string{session.Stdout: "out\n", session.Stderr: "error\n"}, streams(t, e.Path)); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	if file, err := os.ReadFile(e.Path); err != nil || bytes.Contains(file, []byte("a password")) {
		t.Error("what was typed is in the cast")
	}
	for _, name := range names(t, dir) {
		info, err := os.Lstat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestTheKeysOfASummary(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	must(t, r.Close(session.End{Reason: session.EndTarget}))
	b, err := os.ReadFile(strings.TrimSuffix(only(t, dir).Path, ".cast") + ".json")
	must(t, err)
	var got map[string]any
	must(t, json.Unmarshal(b, &got))
	for _, key := range []string{"id", "start", "end", "verb", "protocol", "subprotocol", "target", "tty", "streams", "exit_code", "end_reason", "gaps", "sha256"} {
		if _, ok := got[key]; !ok {
			t.Errorf("no key %q in %s", key, b)
		}
	}
}

func TestWhatIsCommittedCanBeReadWhileTheSessionIsLive(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	for _, part := range []string{"$ ", "caf\xc3", "\xa9\n"} {
		record(t, r, output(session.Stdout, part))
		e := only(t, dir)
		if !e.Live || e.Summary.ID != "7f3a9c01" {
			t.Errorf("entry = %+v", e)
		}
		if got := streams(t, e.Path)[session.Stdout]; !strings.HasSuffix(got, part) {
			t.Errorf("read %q, want what ends in %q", got, part)
		}
	}
	must(t, r.Close(session.End{}))
}

func TestTheFirstResizeIsPutIntoTheHeaderAtOnce(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	record(t, r, output(session.Stdout, "$ "), session.Event{Kind: session.Resize, Size: session.Size{Cols: 132, Rows: 43}})
	b, err := os.ReadFile(only(t, dir).Path)
	must(t, err)
	d, err := cast.NewDecoder(bytes.NewReader(b))
	must(t, err)
	if want := (session.Size{Cols: 132, Rows: 43}); d.Header().Size != want {
		t.Errorf("size = %v, want %v", d.Header().Size, want)
	}
	must(t, r.Close(session.End{}))
}

func TestBothDirectionsMayRecordAtOnce(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	var both sync.WaitGroup
	for _, stream := range []session.Stream{session.Stdout, session.Stderr} {
		both.Go(func() {
			for range 500 {
				if err := errors.Join(r.Record(output(stream, stream.String()+"\n")), r.Commit(nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	must(t, r.Close(session.End{}))
	for stream, got := range streams(t, only(t, dir).Path) {
		if want := strings.Repeat(stream.String()+"\n", 500); got != want {
			t.Errorf("%v: %d bytes, want %d", stream, len(got), len(want))
		}
	}
}

func TestOneBadFileDoesNotHideTheOthers(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, openDir(t, dir), "7f3a9c01")
	must(t, r.Close(session.End{Reason: session.EndCompleted}))
	for name, text := range map[string]string{
		"20261123T173105Z_00000001.cast":      "not a cast\n",
		"20261123T173105Z_00000002.cast":      `{"version": 2}` + "\n",
		"20261123T173105Z_00000002.json":      "not a summary",
		"20261123T173105Z_00000003.cast.part": "", // about to begin
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	all, err := sink.List(dir)
	must(t, err)
	got := map[string]bool{}
	for _, e := range all {
		got[e.Summary.ID] = e.Err == nil
	}
	if diff := cmp.Diff(map[string]bool{"7f3a9c01": true, "00000001": false, "00000002": false}, got); diff != "" {
		t.Errorf("readable (-want +got):\n%s", diff)
	}
}

func TestCastsAreListedInTheOrderOfTheirBeginnings(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	first := time.Date(2026, 11, 23, 17, 31, 5, 0, time.UTC)
	want := []string{"cccccccc", "aaaaaaaa", "bbbbbbbb"} // within one second
	for i, id := range want {
		info := newInfo(id)
		info.Start = first.Add(time.Duration(i) * time.Millisecond)
		r, err := d.Open(info)
		must(t, err)
		must(t, r.Close(session.End{Reason: session.EndCompleted}))
	}
	all, err := sink.List(dir)
	must(t, err)
	var got []string
	for _, e := range all {
		got = append(got, e.Summary.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestOpenDirRefusesADirectoryThatOthersCanWriteTo(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777))
	if _, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "chmod it to 0700") {
		t.Errorf("error = %v", err)
	}
}

func TestOpenDirRefusesADirectoryOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("EXECTAPE_TEST_ROOT") != "" {
			t.Fatal("not root")
		}
		t.Skip("only root can give a directory away")
	}
	dir := t.TempDir()
	must(t, os.Chown(dir, 65534, 65534))
	if _, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "it belongs to user 65534") {
		t.Errorf("error = %v", err)
	}
}

func TestOpenDirRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, nil, 0o600))
	if _, err := sink.OpenDir(path, sink.Options{Version: 2}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("error = %v", err)
	}
}

func TestOpenDirMakesOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	openDir(t, path)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode = %v", info.Mode())
	}
}

func TestASymbolicLinkIsNotFollowed(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(elsewhere, []byte("{\"version\":2}\n[1, \"o\", \"torn"), 0o600))
	for _, name := range []string{"20261123T173105Z_7f3a9c01.cast.part", "20261123T173105Z_7f3a9c02.cast"} {
		must(t, os.Symlink(elsewhere, filepath.Join(dir, name)))
	}
	must(t, openDir(t, dir).Recover(t.Context()))
	if b, err := os.ReadFile(elsewhere); err != nil || !bytes.HasSuffix(b, []byte("torn")) {
		t.Errorf("the link's target is %q, %v", b, err)
	}
	if all, err := sink.List(dir); err != nil || len(all) > 0 {
		t.Errorf("listed: %+v, %v", all, err)
	}
}
