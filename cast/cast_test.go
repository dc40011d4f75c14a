package cast_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"exectape/cast"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

var info = session.Info{
	ID: "7f3a9c01", Start: time.Date(2026, 11, 23, 17, 31, 5, 0, time.UTC), Verb: "exec",
	Protocol: "spdy", Subprotocol: "v4.channel.k8s.io", Target: netip.MustParseAddrPort("127.0.0.1:34567"),
}

// A story is what happened in a session, at one event each 100 ms.
type story []session.Event

func out(stream session.Stream, data string) session.Event {
	return session.Event{Kind: session.Output, Stream: stream, Data: []byte(data)}
}

func opened(stream session.Stream) session.Event {
	return session.Event{Kind: session.Opened, Stream: stream}
}

func resized(cols, rows uint16) session.Event {
	return session.Event{Kind: session.Resize, Size: session.Size{Cols: cols, Rows: rows}}
}

func exited(code int, message string) session.Event {
	return session.Event{Kind: session.Status, Exit: &session.Exit{Code: code, Message: message}}
}

// write makes the cast of a story, as a sink does: the slot last.
func write(version int, s story) []byte {
	e := cast.NewEncoder(version, info)
	var lines []byte
	for i, ev := range s {
		ev.At = time.Duration(i+1) * 100 * time.Millisecond
		lines, _ = e.Append(lines, ev)
	}
	lines = e.End(lines, session.End{At: time.Duration(len(s)+1) * 100 * time.Millisecond, Reason: session.EndCompleted})
	return append(e.Header().Slot(), lines...)
}

// decoded reads a cast to its end.
func decoded(t *testing.T, file []byte) (cast.Header, []cast.Event) {
	t.Helper()
	d, err := cast.NewDecoder(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var events []cast.Event
	for {
		ev, err := d.Next()
		if errors.Is(err, io.EOF) {
			return d.Header(), events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
}

// streams returns what a cast says was written, by stream.
func streams(t *testing.T, events []cast.Event) map[session.Stream]string {
	t.Helper()
	var exact cast.Exact
	all := map[session.Stream]string{}
	for _, ev := range events {
		stream, data, err := exact.Output(ev)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			all[stream] += string(data)
		}
	}
	return all
}

var stories = map[string]story{
	"minimal": {},
	"terminal": {
		opened(session.ErrorStream), opened(session.Stdin), opened(session.Stdout), opened(session.ResizeStream),
		out(session.Stdout, "$ "), resized(132, 43), out(session.Stdout, "\x1b[1mh\xc3\xa9llo\x1b[0m \"\\\r\n"), resized(81, 25), exited(0, ""),
	},
	"two streams": {
		opened(session.Stdout), opened(session.Stderr),
		out(session.Stdout, "out\n"), out(session.Stderr, "err\n"), out(session.Stdout, "out2\n"), exited(3, "command terminated with exit code 3"),
	},
	"carries": {
		out(session.Stdout, "caf\xc3"), out(session.Stderr, "\xe2\x82"), out(session.Stdout, "\xa9 \xf0"), out(session.Stdout, "\x9f"),
		out(session.Stderr, "\xac!"), out(session.Stdout, "\x98\x80"), out(session.Stderr, "\xf0\x9f"),
	},
	"binary": {
		out(session.Stdout, "\x00\xff\xfe"), out(session.Stdout, "a long enough text before it and\xff behind"),
		out(session.Stdout, "\xff short \xff and now a long enough text again, which is text"),
	},
	"raw and gaps": {
		{Kind: session.Raw, From: session.FromClient, Data: []byte{0x80, 3, 0, 5}},
		{Kind: session.Raw, From: session.FromServer, Data: []byte("\x00\x00\x00\x09")},
		{Kind: session.Gap, Lost: &session.Loss{Bytes: 17, Reason: "the disk was full"}},
		exited(session.NoCode, "no such file: \"x\""),
	},
}

func TestGoldenCasts(t *testing.T) {
	for name, s := range stories {
		for _, version := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s v%d", name, version), func(t *testing.T) {
				file := filepath.Join("testdata", fmt.Sprintf("%s.v%d.cast", strings.ReplaceAll(name, " ", "-"), version))
				got := write(version, s)
				if *update {
					if err := os.WriteFile(file, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
					t.Errorf("(-want +got); -update if that is right:\n%s", diff)
				}
				exact(t, file, s)
			})
		}
	}
}

// exact checks that a cast says of both streams just what the story does.
func exact(t *testing.T, file string, s story) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, events := decoded(t, b)
	want := map[session.Stream]string{}
	for _, ev := range s {
		if ev.Kind == session.Output {
			want[ev.Stream] += string(ev.Data)
		}
	}
	if diff := cmp.Diff(want, streams(t, events)); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
}

func TestTheFirstResizeBecomesTheHeadersSize(t *testing.T) {
	for _, version := range []int{2, 3} {
		header, events := decoded(t, write(version, stories["terminal"]))
		if want := (session.Size{Cols: 132, Rows: 43}); header.Size != want {
			t.Errorf("v%d: header size = %v, want %v", version, header.Size, want)
		}
		var resizes []string
		for _, ev := range events {
			if ev.Code == "r" {
				resizes = append(resizes, ev.Data)
			}
		}
		if diff := cmp.Diff([]string{"81x25"}, resizes); diff != "" {
			t.Errorf("v%d: resizes (-want +got):\n%s", version, diff)
		}
	}
}

func TestAHeaderCanBeMadeAgainFromTheEvents(t *testing.T) {
	for name, s := range stories {
		file := write(2, s)
		header, events := decoded(t, file)
		var last cast.Header
		for _, ev := range events {
			if ev.Code == "h" {
				if err := json.Unmarshal([]byte(ev.Data), &last); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(header, last, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s (-header +last h):\n%s", name, diff)
		}
	}
}

func TestAHeaderAlwaysFitsItsSlot(t *testing.T) {
	e := cast.NewEncoder(2, info)
	line, _ := e.Append(nil, exited(session.NoCode, strings.Repeat("\x00\"é", 10000)))
	slot := e.Header().Slot()
	if len(slot) != cast.SlotSize || bytes.IndexByte(slot, '\n') != cast.SlotSize-1 || !json.Valid(slot) {
		t.Errorf("slot of %d bytes: %.200q", len(slot), slot)
	}
	if len(line) > 8*cast.SlotSize {
		t.Errorf("line of %d bytes", len(line))
	}
}

func TestTheTimesOfV3AddUpToThoseOfV2(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	two, three := cast.NewEncoder(2, info), cast.NewEncoder(3, info)
	file2, file3 := two.Header().Slot(), three.Header().Slot()
	var at time.Duration
	for range 10000 {
		at += time.Duration(random.Int64N(int64(3 * time.Microsecond)))
		ev := session.Event{Kind: session.Output, Stream: session.Stdout, At: at, Data: []byte("x")}
		file2, _ = two.Append(file2, ev)
		file3, _ = three.Append(file3, ev)
	}
	_, events2 := decoded(t, file2)
	_, events3 := decoded(t, file3)
	if diff := cmp.Diff(events2, events3); diff != "" {
		t.Errorf("(-v2 +v3):\n%.2000s", diff)
	}
}

func TestTimesNeverGoBack(t *testing.T) {
	e := cast.NewEncoder(3, info)
	file := e.Header().Slot()
	for _, at := range []time.Duration{5, 3, 9} {
		file, _ = e.Append(file, session.Event{Kind: session.Output, Stream: session.Stdout, At: at * time.Second, Data: []byte("x")})
	}
	_, events := decoded(t, file)
	var got []time.Duration
	for _, ev := range events {
		got = append(got, ev.At/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{5, 5, 9}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestATornLastLineIsToldApart(t *testing.T) {
	file := write(2, stories["two streams"])
	d, err := cast.NewDecoder(bytes.NewReader(file[:len(file)-1]))
	for err == nil {
		_, err = d.Next()
	}
	if !errors.Is(err, cast.ErrTorn) {
		t.Errorf("error = %v, want %v", err, cast.ErrTorn)
	}
	if want := int64(bytes.LastIndexByte(file[:len(file)-1], '\n') + 1); d.Offset() != want {
		t.Errorf("offset = %d, want %d", d.Offset(), want)
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	e := cast.NewEncoder(2, info)
	buf := make([]byte, 0, 1<<20)
	chunk := []byte(strings.Repeat("\x1b[1mh\xc3\xa9llo\x1b[0m\r\n", 1000) + "\xff\xfe\xc3")
	ev := session.Event{Kind: session.Output, Stream: session.Stdout, Data: chunk}
	if n := testing.AllocsPerRun(100, func() { buf, _ = e.Append(buf[:0], ev) }); n > 0 {
		t.Errorf("%v allocations for each event", n)
	}
}

func FuzzExact(f *testing.F) {
	f.Add([]byte("caf\xc3\xa9 \xff\x00 and a longer piece of text than the least"), []byte{4, 200, 1, 130})
	f.Add([]byte("\xf0\x9f\x98\x80\xf0\x9f\x98\x80"), []byte{1, 129, 2})
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		for _, version := range []int{2, 3} {
			e := cast.NewEncoder(version, info)
			file := e.Header().Slot()
			want := map[session.Stream]string{}
			for i := 0; len(data) > 0 && i < len(cuts); i++ {
				stream := session.Stdout
				if cuts[i] >= 128 {
					stream = session.Stderr
				}
				n := min(int(cuts[i]%128), len(data))
				file, _ = e.Append(file, session.Event{Kind: session.Output, Stream: stream, Data: data[:n]})
				if n > 0 {
					want[stream] += string(data[:n])
				}
				data = data[n:]
				_, events := decoded(t, file)
				if diff := cmp.Diff(want, streams(t, events)); diff != "" {
					t.Fatalf("v%d after %d chunks (-want +got):\n%s", version, i+1, diff)
				}
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("plain \" \\ \x00 \x1f \x7f é \u2028 \U0001f600")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || s == "" {
			return
		}
		e := cast.NewEncoder(2, info)
		_, events := decoded(t, append(e.Header().Slot(), first(e.Append(nil, out(session.Stdout, s)))...))
		if got := streams(t, events)[session.Stdout]; got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	})
}

func first(lines []byte, _ bool) []byte { return lines }

func FuzzDecoder(f *testing.F) {
	for _, s := range stories {
		f.Add(write(3, s))
	}
	f.Add([]byte("{\"version\": 2, \"width\": 1}\n[1.5, \"o\", \"x\"]\n# a comment\n[1e99, \"r\", \"1x1\"]\n[0, \"o\"]\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		d, err := cast.NewDecoder(bytes.NewReader(file))
		var exact cast.Exact
		for err == nil {
			var ev cast.Event
			if ev, err = d.Next(); err == nil {
				_, _, err = exact.Output(ev)
			}
		}
		if d != nil && d.Offset() > int64(len(file)) {
			t.Errorf("offset %d of %d", d.Offset(), len(file))
		}
	})
}

// asciinema is what people play casts with.
func TestAsciinemaPlaysEveryGoldenCastOfV2(t *testing.T) {
	asciinema, err := exec.LookPath("asciinema")
	if err != nil {
		if os.Getenv("EXECTAPE_TEST_ROOT") != "" {
			t.Fatal(err)
		}
		t.Skip("asciinema is not installed: apt-get install asciinema")
	}
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".v2.cast")
			_, events := decoded(t, write(2, s))
			var want strings.Builder
			for _, ev := range events {
				if ev.Code == "o" {
					want.WriteString(ev.Data)
				}
			}
			// It wants a terminal, which script makes.
			for _, command := range []string{"cat", "play --speed 100"} {
				cmd := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", asciinema+" "+command+" "+file, "/dev/null")
				cmd.Env = append(os.Environ(), "ASCIINEMA_CONFIG_HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
				got, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("asciinema %s: %v\n%s", command, err, got)
				}
				if diff := cmp.Diff(want.String(), string(got)); diff != "" {
					t.Errorf("asciinema %s (-want +got):\n%s", command, diff)
				}
			}
		})
	}
}
