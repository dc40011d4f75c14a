package sessiontest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"exectape/session"
)

// A Capture is what really passed between client-go and containerd, without
// the HTTP heads. A README.md beside the captures says what its files are.
type Capture struct {
	Name   string
	Pieces []Piece // in the order and the cuts of the wire
	Stdout []byte  // what the client printed
}

// A Piece is bytes that passed at once.
type Piece struct {
	From session.Direction
	Data []byte
}

// LoadAll loads the captures in the directories that match pattern.
func LoadAll(tb testing.TB, pattern string) []Capture {
	tb.Helper()
	dirs, err := filepath.Glob(pattern)
	if err != nil || len(dirs) == 0 {
		tb.Fatalf("no captures: %v", err)
	}
	var all []Capture
	for _, dir := range dirs {
		all = append(all, Load(tb, dir))
	}
	return all
}

// Load loads the capture in dir.
func Load(tb testing.TB, dir string) Capture {
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
	c := Capture{Name: filepath.Base(dir), Stdout: read("client.stdout")}
	lines := bufio.NewScanner(bytes.NewReader(read("conn-001.idx")))
	for lines.Scan() {
		var micros, offset, length int
		var way string
		if n, _ := fmt.Sscanf(lines.Text(), "%d %s %d %d", &micros, &way, &offset, &length); n != 4 {
			continue // the line of an end
		}
		head := bytes.Index(wire[way], []byte("\r\n\r\n")) + 4
		if end := offset + length; end > head {
			c.Pieces = append(c.Pieces, Piece{from[way], wire[way][max(offset, head):end]})
		}
	}
	return c
}
