package cast

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// appendStringByTable is the plainest way to do it, byte by byte. It is what
// appendString is compared with, in what it says and in how fast it does.
func appendStringByTable[S string | []byte](dst []byte, text S) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	plain := 0
	for i := range len(text) {
		e := escapes[text[i]]
		if e == 0 {
			continue
		}
		dst = append(dst, text[plain:i]...)
		plain = i + 1
		if e == 'u' {
			dst = append(dst, '\\', 'u', '0', '0', hex[text[i]>>4], hex[text[i]&0xf])
		} else {
			dst = append(dst, '\\', e)
		}
	}
	dst = append(dst, text[plain:]...)
	return append(dst, '"')
}

func sameEscapes(t *testing.T, text []byte) {
	t.Helper()
	prefix := []byte("what was there")
	got, want := appendString(bytes.Clone(prefix), text), appendStringByTable(bytes.Clone(prefix), text)
	if !bytes.Equal(got, want) {
		t.Fatalf("%q:\ngot  %s\nwant %s", text, got, want)
	}
	blocks := max(len(text)/block-1, 0)
	free := make([]byte, longest*len(text)+2*block)
	got, want = free[:escapeWords(free, text, blocks)], appendStringByTable(nil, text[:blocks*block])
	if !bytes.Equal(got, want[1:len(want)-1]) {
		t.Fatalf("%q, in words:\ngot  %s\nwant %s", text, got, want)
	}
}

func TestEveryByteIsEscapedAsByTheTableWhereverItStands(t *testing.T) {
	for c := range 256 {
		for length := range 100 {
			text := bytes.Repeat([]byte{'x'}, length)
			text = text[:len(text):len(text)] // nothing behind it is to be read
			for at := range text {
				text[at] = byte(c)
				sameEscapes(t, text)
				text[at] = 'x'
			}
		}
		sameEscapes(t, bytes.Repeat([]byte{byte(c)}, 3*piece+1))
	}
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("a line\r\n"))
	f.Add([]byte("\x1b[31;1m\"red\"\x1b[0m\\ \x7f\u2028 größer → \x00\x1f"))
	f.Add([]byte(strings.Repeat("much text and then\t", 20)))
	f.Fuzz(func(t *testing.T, text []byte) {
		sameEscapes(t, text)
		var back string
		valid := strings.ToValidUTF8(string(text), "?")
		if err := json.Unmarshal(appendString(nil, []byte(valid)), &back); err != nil || back != valid {
			t.Fatalf("%q came back as %q, %v", valid, back, err)
		}
	})
}

// texts are 32 KiB each of what sessions are full of.
func texts() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	var text, ansi bytes.Buffer
	for n := 0; text.Len() < 32<<10; n++ {
		fmt.Fprintf(&text, "2026-11-25T17:31:%02d.%06dZ info msg=%q the connection to upstream %d was retried after timeout\n", n%60, random.IntN(1e6), "ok", random.IntN(1e6))
	}
	for ansi.Len() < 32<<10 {
		fmt.Fprintf(&ansi, "\x1b[%d;%dH\x1b[0;%dm%5d %-8s\x1b[0m %4.1f\x1b[K\r\n", random.IntN(40), random.IntN(120), 30+random.IntN(8), random.IntN(65536), "kubelet", random.Float64()*100)
	}
	return map[string][]byte{"text": text.Bytes(), "ansi": ansi.Bytes()}
}

func TestNothingBehindATextIsRead(t *testing.T) {
	page := unix.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(memory) })
	if err := unix.Mprotect(memory[page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	for length := range 100 {
		text := memory[page-length : page]
		for i := range text {
			text[i] = "a\n"[i%2]
		}
		sameEscapes(t, text)
	}
}

// BenchmarkEscape compares in turns, by the CPU time of its thread.
func BenchmarkEscape(b *testing.B) {
	for name, text := range texts() {
		b.Run(name, func(b *testing.B) {
			runtime.LockOSThread() // whose time is looked at
			defer runtime.UnlockOSThread()
			dst := make([]byte, 0, 6*len(text))
			var fast, table time.Duration
			for b.Loop() {
				begin := threadTime(b)
				for range 16 {
					appendString(dst, text)
				}
				middle := threadTime(b)
				for range 16 {
					appendStringByTable(dst, text)
				}
				fast, table = fast+middle-begin, table+threadTime(b)-middle
			}
			bytes := float64(16*len(text)) * float64(b.N)
			b.ReportMetric(0, "ns/op") // of both
			b.ReportMetric(bytes/1e6/fast.Seconds(), "MB/cpu-s")
			b.ReportMetric(bytes/1e6/table.Seconds(), "MB/cpu-s-by-table")
			b.ReportMetric(table.Seconds()/fast.Seconds(), "times-the-table")
		})
	}
}

func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
