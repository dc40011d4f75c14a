package sink_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"exectape/session"
	"exectape/sink"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"
)

// The casts of the following tests, oldest first. Each takes about 100 KiB.
var eras = []string{"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"}

const castBytes = 100 << 10

// aStore is a directory with a finished cast of each of eras, each a day older
// than the one behind it, the last one a day old.
func aStore(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	d := openDir(t, path)
	for i, id := range eras {
		age := time.Duration(len(eras)-i) * 24 * time.Hour
		info := newInfo(id)
		info.Start = info.Start.Add(-age)
		r, err := d.Open(info)
		must(t, err)
		record(t, r, output(session.Stdout, strings.Repeat("x", castBytes)))
		must(t, r.Close(session.End{Reason: session.EndTarget}))
		name := filepath.Join(path, castOf(t, path, id))
		must(t, os.Chtimes(name, time.Time{}, time.Now().Add(-age)))
	}
	return path
}

func castOf(t *testing.T, path, id string) string {
	t.Helper()
	names, err := sink.Names(path)
	must(t, err)
	i := slices.IndexFunc(names, func(name string) bool { return sink.ID(name) == id })
	if i < 0 {
		t.Fatalf("no cast of %s", id)
	}
	return names[i]
}

// left returns the ids of the casts in a directory, and fails the test if
// anything is left of the others.
func left(t *testing.T, path string) []string {
	t.Helper()
	names, err := sink.Names(path)
	must(t, err)
	var ids []string
	for _, name := range names {
		ids = append(ids, sink.ID(name))
	}
	files, err := os.ReadDir(path)
	must(t, err)
	for _, f := range files {
		stem, _, _ := strings.Cut(f.Name(), ".")
		if id := sink.ID(stem); id != "" && !slices.Contains(ids, id) {
			t.Errorf("%s is left behind", f.Name())
		}
	}
	return ids
}

// keepRoom has an instance look at the directory once.
func keepRoom(t *testing.T, path string, o sink.Options) (*sink.Dir, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	o.Version = 2
	d, err := sink.OpenDir(path, o, zap.New(core))
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	must(t, d.MakeRoom(t.Context()))
	return d, logs
}

func TestWhatGoesAndWhatStays(t *testing.T) {
	for _, test := range []struct {
		name         string
		policy       session.Policy
		room         sink.Room
		acknowledged []string
		left         []string
		full         bool
	}{
		{name: "without bounds everything stays", left: eras},
		{name: "the oldest makes room", room: sink.Room{MaxBytes: 3.5 * castBytes}, left: eras[1:]},
		{name: "as many as it takes", room: sink.Room{MaxBytes: 1.5 * castBytes}, left: eras[3:]},
		{name: "acknowledged ones first, however young", room: sink.Room{MaxBytes: 2.5 * castBytes},
			acknowledged: []string{"bbbbbbbb", "dddddddd"}, left: []string{"aaaaaaaa", "cccccccc"}},
		{name: "then the others", room: sink.Room{MaxBytes: 1.5 * castBytes},
			acknowledged: []string{"dddddddd"}, left: []string{"cccccccc"}},
		{name: "what is too old goes", room: sink.Room{MaxAge: 60 * time.Hour}, left: eras[2:]},
		{name: "be there a recorder", room: sink.Room{MaxAge: 60 * time.Hour, Spooled: true}, left: eras[2:]},
		{name: "closed: nothing makes room that nobody else has", policy: session.FailClosed,
			room: sink.Room{MaxBytes: 1.5 * castBytes}, left: eras, full: true},
		{name: "closed: what is acknowledged does", policy: session.FailClosed, room: sink.Room{MaxBytes: 2.5 * castBytes, Spooled: true},
			acknowledged: eras[1:3], left: []string{"aaaaaaaa", "dddddddd"}},
		{name: "closed: and may not be enough", policy: session.FailClosed, room: sink.Room{MaxBytes: 1.5 * castBytes, Spooled: true},
			acknowledged: eras[1:3], left: []string{"aaaaaaaa", "dddddddd"}, full: true},
		{name: "closed: what is too old goes if no recorder waits for it", policy: session.FailClosed,
			room: sink.Room{MaxAge: 60 * time.Hour}, left: eras[2:]},
		{name: "closed: and else only what it has", policy: session.FailClosed,
			room: sink.Room{MaxAge: 60 * time.Hour, Spooled: true}, acknowledged: eras[:1], left: eras[1:]},
		{name: "a file system is not to be kept free of more than a tenth", room: sink.Room{MinFree: 1 << 62}, left: eras},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := aStore(t)
			acknowledging := openDir(t, path)
			for _, id := range test.acknowledged {
				must(t, acknowledging.Acknowledge(sink.Stem(castOf(t, path, id))))
			}
			d, logs := keepRoom(t, path, sink.Options{Policy: test.policy, Room: test.room})
			if diff := cmp.Diff(test.left, left(t, path)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			gone := len(eras) - len(test.left)
			if n := logs.FilterMessage("cast removed").Len(); n != gone {
				t.Errorf("%d were said to be removed, %d were", n, gone)
			}
			if n := d.Stats().Removed["age"] + d.Stats().Removed["room"]; n != int64(gone) {
				t.Errorf("%d were counted, %d removed", n, gone)
			}
			r, err := d.Open(newInfo("eeeeeeee"))
			if test.full != (err != nil) {
				t.Errorf("a session may begin: %v", err)
			}
			if r != nil {
				must(t, r.Close(session.End{}))
			}
			if test.full != (d.Writable() != nil) {
				t.Errorf("writable: %v", d.Writable())
			}
		})
	}
}

func TestLiveCastsStay(t *testing.T) {
	path := aStore(t)
	d := openDir(t, path)
	r := begin(t, d, "eeeeeeee")
	record(t, r, output(session.Stdout, strings.Repeat("y", 2*castBytes)))
	keeping, _ := keepRoom(t, path, sink.Options{Room: sink.Room{MaxBytes: castBytes, MaxAge: time.Nanosecond}})
	if got := left(t, path); !slices.Equal(got, []string{"eeeeeeee"}) {
		t.Errorf("left: %v", got)
	}
	if held := keeping.Stats().Held; held < 2*castBytes || held > 3*castBytes {
		t.Errorf("held: %d bytes", held)
	}
	must(t, r.Close(session.End{}))
}

func TestSessionsBeginAgainWhenARecorderHasWhatIsThere(t *testing.T) {
	path := aStore(t)
	d, logs := keepRoom(t, path, sink.Options{Policy: session.FailClosed, Room: sink.Room{MaxBytes: castBytes, Spooled: true}})
	if _, err := d.Open(newInfo("eeeeeeee")); err == nil || !strings.Contains(err.Error(), "directory of casts is full") {
		t.Fatalf("a session may begin: %v", err)
	}
	for _, id := range eras {
		must(t, d.Acknowledge(sink.Stem(castOf(t, path, id))))
	}
	must(t, d.MakeRoom(t.Context()))
	r, err := d.Open(newInfo("eeeeeeee"))
	must(t, err)
	must(t, r.Close(session.End{}))
	if logs.FilterMessageSnippet("no session may begin").Len() != 1 || logs.FilterMessageSnippet("may begin again").Len() != 1 {
		t.Errorf("said: %v", logs.All())
	}
}

// A death between any two steps of a removal leaves nothing that is taken for a
// loss: the next start puts it right.
func TestARemovalThatWasCutOffIsPutRight(t *testing.T) {
	for _, test := range []struct {
		name string
		cut  func(stem string) error
		left int
	}{
		{"before the cast went", func(stem string) error { return os.Rename(stem+".json", stem+".json.tmp") }, len(eras)},
		{"behind the cast", func(stem string) error {
			return errors.Join(os.Rename(stem+".json", stem+".json.tmp"), os.Remove(stem+".cast"))
		}, len(eras) - 1},
		{"before the notes", func(stem string) error { return errors.Join(os.Remove(stem+".json"), os.Remove(stem+".cast")) }, len(eras) - 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := aStore(t)
			d := openDir(t, path)
			stem := sink.Stem(castOf(t, path, eras[0]))
			must(t, d.Acknowledge(stem))
			must(t, test.cut(filepath.Join(path, stem)))
			must(t, d.Recover(t.Context()))
			if got := left(t, path); len(got) != test.left {
				t.Errorf("left: %v", got)
			}
			must(t, sink.Verify(t.Context(), path, func(v sink.Verdict) error {
				if v.State != sink.Good {
					t.Errorf("%s: %s, %v", v.Path, v.State, v.Problems)
				}
				return nil
			}))
		})
	}
}

func TestWhatIsBeingFinishedIsNotRemoved(t *testing.T) {
	path := aStore(t)
	file, err := os.Open(filepath.Join(path, castOf(t, path, eras[0])))
	must(t, err)
	defer file.Close()
	must(t, unix.Flock(int(file.Fd()), unix.LOCK_EX))
	keepRoom(t, path, sink.Options{Room: sink.Room{MaxAge: 60 * time.Hour}})
	if got, want := left(t, path), []string{eras[0], eras[2], eras[3]}; !slices.Equal(got, want) {
		t.Errorf("left: %v, want %v", got, want)
	}
}

func TestWhatIsBeingSentIsNotRemoved(t *testing.T) {
	path := aStore(t)
	d := openDir(t, path)
	release, err := d.Hold(sink.Stem(castOf(t, path, eras[0])))
	must(t, err)
	room := sink.Options{Room: sink.Room{MaxAge: 60 * time.Hour}}
	keepRoom(t, path, room)
	if got, want := left(t, path), []string{eras[0], eras[2], eras[3]}; !slices.Equal(got, want) {
		t.Errorf("left while it was sent: %v, want %v", got, want)
	}
	release()
	stem := sink.Stem(castOf(t, path, eras[0]))
	keepRoom(t, path, room)
	if got, want := left(t, path), eras[2:]; !slices.Equal(got, want) {
		t.Errorf("left: %v, want %v", got, want)
	}
	if _, err := d.Hold(stem); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Hold of what is gone: %v", err)
	}
}

func TestWhatExectapeDidNotNameStays(t *testing.T) {
	path := aStore(t)
	var foreign []string
	for _, name := range []string{"demo.cast", "demo.json", "holiday_2026.cast", "notes.txt"} {
		foreign = append(foreign, name)
		must(t, os.WriteFile(filepath.Join(path, name), make([]byte, 2*castBytes), 0o600))
	}
	keepRoom(t, path, sink.Options{Room: sink.Room{MaxBytes: 1, MaxAge: time.Nanosecond}})
	if diff := cmp.Diff(foreign, names(t, path)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestACastThatARecorderRefusesIsOneThatNobodyHas(t *testing.T) {
	path := aStore(t)
	must(t, openDir(t, path).Refuse(sink.Stem(castOf(t, path, eras[3])), "400 Bad Request"))
	room := sink.Room{MaxBytes: 3.5 * castBytes, Spooled: true}
	keepRoom(t, path, sink.Options{Policy: session.FailClosed, Room: room})
	if got := left(t, path); !slices.Equal(got, eras) {
		t.Errorf("closed: left %v", got)
	}
	room.MaxBytes = 1
	keepRoom(t, path, sink.Options{Room: room})
	if got := names(t, path); len(got) > 0 {
		t.Errorf("open: left %v", got)
	}
}

func TestACastThatWasRemovedIsNotAcknowledged(t *testing.T) {
	path := t.TempDir()
	if err := openDir(t, path).Acknowledge("20261124T000000Z_aaaaaaaa"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Acknowledge: %v", err)
	}
	left(t, path)
}

func TestRoomIsKeptAsLongAsTheDirectoryIsUsed(t *testing.T) {
	path := aStore(t)
	synctest.Test(t, func(t *testing.T) {
		for _, id := range eras {
			must(t, os.Chtimes(filepath.Join(path, castOf(t, path, id)), time.Time{}, time.Now()))
		}
		d, err := sink.OpenDir(path, sink.Options{Version: 2, Room: sink.Room{MaxAge: time.Minute}}, zap.NewNop())
		must(t, err)
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { d.KeepRoom(ctx); close(done) }()
		time.Sleep(time.Minute / 2)
		synctest.Wait()
		if got := left(t, path); len(got) != len(eras) {
			t.Errorf("left before their time: %v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := left(t, path); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
		end()
		<-done
		must(t, d.Close())
	})
}
