package sessiontest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Seed is an input of a fuzz target: its arguments, of which a byte is one
// of length 1.
type Seed struct {
	Name string
	Args [][]byte
}

// Corpus loads what is committed for the fuzz target of this name, whose
// arguments are all byte or []byte.
func Corpus(tb testing.TB, target string) (all []Seed) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		s := Seed{Name: filepath.Base(file)}
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] { // behind the version
			s.Args = append(s.Args, literal(tb, line))
		}
		all = append(all, s)
	}
	return all
}

// literal reads byte('x') or []byte("x").
func literal(tb testing.TB, line string) []byte {
	tb.Helper()
	_, quoted, _ := strings.Cut(strings.TrimSuffix(line, ")"), "(")
	value, err := strconv.Unquote(quoted)
	if err != nil {
		tb.Fatalf("%s: %v", line, err)
	}
	if quoted[0] == '\'' { // a rune, in UTF-8
		return []byte{byte([]rune(value)[0])}
	}
	return []byte(value)
}
