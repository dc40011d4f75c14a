package cast

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

func random(n int) []byte {
	source := rand.New(rand.NewPCG(uint64(n), 1))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(source.Uint32())
	}
	return p
}

func TestBase64IsThatOfTheStandardLibrary(t *testing.T) {
	for n := range 200 {
		p := random(n)
		sameBase64(t, p[:n:n])
	}
}

func sameBase64(t *testing.T, p []byte) {
	t.Helper()
	want := "x" + base64.StdEncoding.EncodeToString(p)
	if got := string(appendBase64([]byte("x"), p)); got != want {
		t.Fatalf("%x: got %s, want %s", p, got, want)
	}
	if got := string(appendSixes([]byte("x"), p)); got != want {
		t.Fatalf("%x, by sixes: got %s, want %s", p, got, want)
	}
}

func FuzzBase64(f *testing.F) {
	f.Add(random(100))
	f.Fuzz(sameBase64)
}

// runByRunes is the plainest way to find what [run] does.
func runByRunes(p []byte) (n int, isText bool) {
	prefix := func(p []byte) (n int) {
		for n < len(p) {
			r, size := utf8.DecodeRune(p[n:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			n += size
		}
		return n
	}
	if text := prefix(p); text == len(p) || text >= minText {
		return text, true
	}
	for n = range p {
		if prefix(p[n:]) >= minText {
			return n, false
		}
	}
	return len(p), false
}

func TestTextIsFoundWhereverItBegins(t *testing.T) {
	texts := []string{"", "short", "a line that is long enough for a line\n", "größer, kürzer, ähnlich, öfter und überall", "→→→→→→→→→→→→", "😀😀😀😀😀😀😀😀"}
	for n := range 160 {
		for _, text := range texts {
			p := bytes.Join([][]byte{random(n), []byte(text), random(n % 7), []byte(text), {0xff}}, nil)
			got, isText := run(p)
			want, wantText := runByRunes(p)
			if got != want || isText != wantText {
				t.Fatalf("%q: got %d, %v; want %d, %v", p, got, isText, want, wantText)
			}
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add([]byte("text\xfftext that is long enough for a line of its own\xc3"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) == 0 || len(p) > maxPart {
			return
		}
		got, isText := run(p)
		want, wantText := runByRunes(p)
		if got != want || isText != wantText {
			t.Fatalf("got %d, %v; want %d, %v", got, isText, want, wantText)
		}
	})
}

func BenchmarkBinary(b *testing.B) {
	p := random(32 << 10)
	b.Run("run", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			run(p)
		}
	})
	dst := make([]byte, 0, 2*len(p))
	b.Run("base64", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			appendBase64(dst, p)
		}
	})
	b.Run("base64 by sixes", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			appendSixes(dst, p)
		}
	})
	b.Run("base64 of the standard library", func(b *testing.B) {
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			base64.StdEncoding.AppendEncode(dst, p)
		}
	})
}
