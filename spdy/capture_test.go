package spdy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exectape/session"
	"exectape/spdy"

	"github.com/google/go-cmp/cmp"
)

// A capture is what really passed between client-go and containerd, without
// the HTTP heads. See testdata/wire/README.md.
type capture struct {
	name   string
	pieces []piece // in the order and the cuts of the wire
	stdout []byte  // what the client printed
}

type piece struct {
	from session.Direction
	data []byte
}

// captures loads every recorded exec and attach.
func captures(tb testing.TB) []capture {
	tb.Helper()
	dirs, err := filepath.Glob("testdata/wire/spdy-*")
	if err != nil || len(dirs) == 0 {
		tb.Fatalf("no captures: %v", err)
	}
	var all []capture
	for _, dir := range dirs {
		if !strings.Contains(dir, "portforward") {
			all = append(all, load(tb, dir))
		}
	}
	return all
}

func load(tb testing.TB, dir string) capture {
	tb.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	wire := map[string][]byte{"c2s": read("conn-001.c2s.bin"), "s2c": read("conn-001.s2c.bin")}
	from := map[string]session.Direction{"c2s": session.FromClient, "s2c": session.FromServer}
	c := capture{name: filepath.Base(dir), stdout: read("client.stdout")}
	lines := bufio.NewScanner(bytes.NewReader(read("conn-001.idx")))
	for lines.Scan() {
		var micros, offset, length int
		var way string
		if n, _ := fmt.Sscanf(lines.Text(), "%d %s %d %d", &micros, &way, &offset, &length); n != 4 {
			continue // the line of an end
		}
		head := bytes.Index(wire[way], []byte("\r\n\r\n")) + 4
		if end := offset + length; end > head {
			c.pieces = append(c.pieces, piece{from[way], wire[way][max(offset, head):end]})
		}
	}
	return c
}

// seen is what one direction of a session came to: parts of an output that
// follow each other are one.
type seen []session.Event

func (s *seen) add(e session.Event) {
	e.Data = bytes.Clone(e.Data)
	if n := len(*s); n > 0 && len(e.Data) > 0 {
		if last := &(*s)[n-1]; last.Kind == e.Kind && last.Stream == e.Stream && len(last.Data) > 0 {
			last.Data = append(last.Data, e.Data...)
			return
		}
	}
	*s = append(*s, e)
}

// decode feeds pieces to a new decoder and returns what each direction came
// to. A direction that breaks is kept raw, as session.Conn does it.
func decode(pieces []piece) (events [2]seen) {
	d := spdy.New("v4.channel.k8s.io")
	var broken [2]bool
	for _, p := range pieces {
		rest := p.data
		if !broken[p.from] {
			err := d.Feed(p.from, p.data, events[p.from].add)
			if err == nil {
				continue
			}
			broken[p.from] = true
			rest = err.(*session.Undecodable).Rest
		}
		events[p.from].add(session.Event{Kind: session.Raw, From: p.from, Data: rest})
	}
	return events
}

// joined is the same bytes with every direction in one piece, the client's
// first: what it opens must be known before the answer.
func joined(pieces []piece) []piece {
	all := []piece{{from: session.FromClient}, {from: session.FromServer}}
	for _, p := range pieces {
		all[p.from].data = append(all[p.from].data, p.data...)
	}
	return all
}

// recut cuts every piece again, into parts of the sizes that next says.
func recut(pieces []piece, next func() int) []piece {
	var all []piece
	for _, p := range pieces {
		for rest := p.data; len(rest) > 0; {
			n := min(max(next(), 1), len(rest))
			all = append(all, piece{p.from, rest[:n]})
			rest = rest[n:]
		}
	}
	return all
}

func TestCapturesComeToTheSameHoweverTheyAreCut(t *testing.T) {
	for _, c := range captures(t) {
		t.Run(c.name, func(t *testing.T) {
			want := decode(c.pieces)
			cuts := map[string][]piece{
				"one byte at a time": recut(c.pieces, func() int { return 1 }),
				"all at once":        joined(c.pieces),
			}
			for seed := range uint64(100) {
				random := rand.New(rand.NewPCG(seed, 1))
				cuts[fmt.Sprintf("random cuts %d", seed)] = recut(joined(c.pieces), func() int { return random.IntN(40) })
			}
			for name, pieces := range cuts {
				if diff := cmp.Diff(want, decode(pieces)); diff != "" {
					t.Errorf("%s (-wire +cut):\n%s", name, diff)
				}
			}
		})
	}
}

func TestCapturesSayWhatTheClientSaw(t *testing.T) {
	exits := map[string]int{
		"spdy-attach-notty": 0, "spdy-attach-tty-resize": 0,
		"spdy-exec-kill-signal": 137, "spdy-exec-nosuchcmd": session.NoCode,
		"spdy-exec-notty-exit7": 7, "spdy-exec-notty-ok": 0, "spdy-exec-tty-resize": 5,
	}
	for _, c := range captures(t) {
		t.Run(c.name, func(t *testing.T) {
			events := decode(c.pieces)
			if got := text(events[session.FromServer], session.Stdout); !bytes.Equal(got, c.stdout) {
				t.Errorf("stdout = %q, the client printed %q", got, c.stdout)
			}
			want, ok := exits[c.name]
			if exit := outcome(events[session.FromServer]); !ok || exit == nil || exit.Code != want {
				t.Errorf("exit = %+v, want code %d (listed: %v)", exit, want, ok)
			}
		})
	}
}

func TestACapturedTerminalKeepsItsSizesInOrder(t *testing.T) {
	var got []session.Size
	for _, e := range decode(load(t, "testdata/wire/spdy-exec-tty-resize").pieces)[session.FromClient] {
		if e.Kind == session.Resize {
			got = append(got, e.Size)
		}
	}
	want := []session.Size{{Cols: 100, Rows: 30}, {Cols: 132, Rows: 43}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
}

// text returns what was written to stream.
func text(events seen, stream session.Stream) (b []byte) {
	for _, e := range events {
		if e.Kind == session.Output && e.Stream == stream {
			b = append(b, e.Data...)
		}
	}
	return b
}

func outcome(events seen) (exit *session.Exit) {
	for _, e := range events {
		if e.Kind == session.Status {
			exit = e.Exit
		}
	}
	return exit
}
