package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:generate go test -run TestREADME -update

var update = flag.Bool("update", false, "rewrite the generated part of README.md")

func TestREADMEListsTheConfigurationAsItIs(t *testing.T) {
	const file, begin, end = "../../README.md", "<!-- config -->\n", "<!-- /config -->"
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(readme, []byte(begin))
	table, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s lacks the markers %q and %q, between which the table is generated", file, begin, end)
	}
	if *update {
		want := bytes.Join([][]byte{before, []byte(begin), []byte(configTable()), []byte(end), after}, nil)
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(configTable(), string(table)); diff != "" {
		t.Errorf("the table in %s is out of date; run go generate ./cmd/exectape\n%s", file, diff)
	}
}

// configTable renders the variables as a table in markdown.
func configTable() string {
	var b strings.Builder
	b.WriteString("| variable | default | |\n|---|---|---|\n")
	for _, v := range variables() {
		preset := "none"
		if v.preset != "" {
			preset = "`" + v.preset + "`"
		}
		fmt.Fprintf(&b, "| `%s%s` | %s | %s |\n", prefix, v.name, preset, v.doc)
	}
	return b.String()
}
