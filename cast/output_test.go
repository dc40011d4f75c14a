package cast_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"exectape/cast"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

func TestEncodingDoesNotAllocate(t *testing.T) {
	chunk := []byte(strings.Repeat("\x1b[1mh\xc3\xa9llo\x1b[0m\r\n", 1000) + "\xff\xfe\xc3")
	for _, version := range []int{2, 3} {
		e := cast.NewEncoder(version, info)
		buf := make([]byte, 0, 1<<20)
		n := testing.AllocsPerRun(100, func() {
			for _, stream := range []session.Stream{session.Stdout, session.Stderr} {
				buf, _ = e.Append(buf[:0], session.Event{Kind: session.Output, Stream: stream, Data: chunk})
				buf, _ = e.Append(buf, session.Event{Kind: session.Input, Stream: session.Stdin, Data: chunk})
				buf, _ = e.Append(buf, session.Event{Kind: session.Raw, Data: chunk})
			}
			buf, _ = e.Append(buf, session.Event{Kind: session.Resize, Size: session.DefaultSize})
		})
		if n > 0 {
			t.Errorf("v%d: %v allocations", version, n)
		}
	}
}

func TestTextIsShownHoweverLongItIs(t *testing.T) {
	for _, text := range []string{strings.Repeat("€", 100_000), "x" + strings.Repeat("\U0001f600", 100_000), strings.Repeat("\x00", 1<<20)} {
		_, events := decoded(t, write(2, story{out(session.Stdout, text)}))
		var shown strings.Builder
		for _, ev := range events {
			if ev.Code == "o" {
				shown.WriteString(ev.Data)
			}
		}
		if shown.String() != text {
			t.Errorf("%d of %d bytes of %.10q... are text", shown.Len(), len(text), text)
		}
	}
}

func TestRandomBytesTakeLittleMoreThanBase64Does(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 1<<20)
	_, _ = random.Read(data) // never fails
	var s story
	for chunk := range slices.Chunk(data, 32<<10) {
		s = append(s, out(session.Stdout, string(chunk)))
	}
	if got, atMost := len(write(2, s)), len(data)*4/3+10_000; got > atMost {
		t.Errorf("%d bytes for %d, want at most %d", got, len(data), atMost)
	}
}

func FuzzExact(f *testing.F) {
	f.Add([]byte("caf\xc3\xa9 \xff\x00 and a longer piece of text than the least"), []byte{4, 200, 1, 68, 130})
	f.Add([]byte("\xf0\x9f\x98\x80\xf0\x9f\x98\x80"), []byte{1, 129, 65, 2})
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		for _, version := range []int{2, 3} {
			e := cast.NewEncoder(version, info)
			file := e.Begin(nil)
			want := map[session.Stream]string{}
			for i := 0; len(data) > 0 && i < len(cuts); i++ {
				n := min(int(cuts[i]%64), len(data))
				ev := said(cuts[i]/64, data[:n])
				file, _ = e.Append(file, ev)
				if n > 0 {
					want[ev.Stream] += string(ev.Data)
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

// said is an event of the stream that a fuzzer picks.
func said(pick byte, data []byte) session.Event {
	switch pick {
	case 1:
		return typed(string(data))
	case 2, 3:
		return out(session.Stderr, string(data))
	}
	return out(session.Stdout, string(data))
}

func FuzzText(f *testing.F) {
	f.Add("plain \" \\ \x00 \x1f \x7f é \u2028 \U0001f600")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || s == "" {
			return
		}
		e := cast.NewEncoder(2, info)
		_, events := decoded(t, first(e.Append(e.Begin(nil), out(session.Stdout, s))))
		if got := streams(t, events)[session.Stdout]; got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	})
}

func first(lines []byte, _ bool) []byte { return lines }
