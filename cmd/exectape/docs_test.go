package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"exectape/admin"
	"exectape/cast"
	"exectape/session"
)

// page returns a page of the documentation.
func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryMetricIsInTheDocsAndNoOther(t *testing.T) {
	text := page(t, "operations.md")
	cfg, n := everything(t)
	m := n.metrics(cfg)
	m.SessionEnded("exec", "spdy", "completed", 1)
	there := metricNames(t, m)
	for _, name := range there {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/operations.md does not say what %s means", name)
		}
	}
	for _, name := range regexp.MustCompile(`exectape_[a-z_]+`).FindAllString(text, -1) {
		if !slices.Contains(there, name) {
			t.Errorf("docs/operations.md speaks of %s, which there isn't", name)
		}
	}
}

func metricNames(t *testing.T, m *admin.Metrics) (all []string) {
	t.Helper()
	for _, family := range gather(t, m) {
		if strings.HasPrefix(family.GetName(), "exectape_") {
			all = append(all, family.GetName())
		}
	}
	return all
}

func TestEveryLogMessageIsInTheDocs(t *testing.T) {
	text := page(t, "operations.md")
	messages := logMessages(t)
	if len(messages) < 50 {
		t.Errorf("only %d messages were found in the code", len(messages))
	}
	for message, where := range messages {
		if !strings.Contains(text, "`"+message+"`") {
			t.Errorf("%s: docs/operations.md does not say what %q means", where, message)
		}
	}
}

// logMessages returns the constant messages of all that the product logs, and
// where. A message that is handed to another function stands where that is
// called, as its only text.
func logMessages(t *testing.T) map[string]token.Position {
	t.Helper()
	messages, files := make(map[string]token.Position), token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"e2e", "bench", "tools", "deploy"}, name):
			return filepath.SkipDir
		case filepath.Ext(name) != ".go", strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "failed"}, method.Sel.Name) {
				return true
			}
			for _, arg := range call.Args[:min(2, len(call.Args))] {
				if text, ok := arg.(*ast.BasicLit); ok && text.Kind == token.STRING {
					message, err := strconv.Unquote(text.Value)
					if err != nil {
						t.Fatal(err)
					}
					messages[message] = files.Position(text.Pos())
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func TestEveryFieldOfASummaryIsInTheDocsWithAnExample(t *testing.T) {
	text := page(t, "format.md")
	example := fenced(t, text, "{\n")
	var all session.Summary
	strict := json.NewDecoder(strings.NewReader(example))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&all); err != nil {
		t.Fatalf("the example: %v", err)
	}
	for _, name := range fieldNames(reflect.TypeFor[session.Summary]()) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/format.md does not say what %s is", name)
		}
		if !strings.Contains(example, `"`+name+`":`) {
			t.Errorf("the example in docs/format.md has no %s", name)
		}
	}
	for _, name := range fieldNames(reflect.TypeFor[cast.Facts]()) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/format.md does not say what %s in a cast's header is", name)
		}
	}
}

// fieldNames returns how the fields of a struct, and of those in it, are called
// in JSON.
func fieldNames(of reflect.Type) (all []string) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || !strings.HasPrefix(of.PkgPath(), "exectape/") {
		return nil
	}
	for _, f := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(append(all, name), fieldNames(f.Type)...)
	}
	return all
}

// fenced returns the block of code that begins in that way.
func fenced(t *testing.T, text, beginning string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "```json\n"+beginning)
	block, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatalf("no block begins with %q", beginning)
	}
	return beginning + block
}

// The golden casts of package cast have every code that there is.
func TestEveryEventOfACastIsInTheDocsWithAnExample(t *testing.T) {
	text := page(t, "format.md")
	_, table, _ := strings.Cut(text, "| code | data |")
	table, _, _ = strings.Cut(table, "\n\n")
	shown := make(map[string]bool)
	events := cast.NewEventDecoder(strings.NewReader(fenced(t, text, "[0.")), 2)
	for {
		ev, err := events.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the example: %v", err)
		}
		shown[ev.Code] = true
	}
	goldens, err := filepath.Glob("../../cast/testdata/*.cast")
	if err != nil || len(goldens) == 0 {
		t.Fatalf("no golden casts: %v", err)
	}
	for _, golden := range goldens {
		b, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^\[[0-9.]+, "(\w)"`).FindAllSubmatch(b, -1) {
			code := string(found[1])
			if !strings.Contains(table, "`"+code+"`") || !shown[code] {
				t.Errorf("%s has %q, of which docs/format.md says nothing, or has no example", golden, code)
			}
		}
	}
	for _, reason := range []session.EndReason{session.EndCompleted, session.EndClient, session.EndTarget, session.EndByUs, session.EndInterrupted, session.EndRefused, session.EndUnrecorded} {
		if !strings.Contains(text, "`"+string(reason)+"`") {
			t.Errorf("docs/format.md does not say what it means to end as %q", reason)
		}
	}
}
