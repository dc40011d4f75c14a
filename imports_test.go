// Package exectape_test guards the architecture: who may import what, and why
// nobody else may. ARCHITECTURE.md tells the same as prose.
package exectape_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// house has what each package may import of ours, and what its tests may
// besides.
var house = map[string]struct {
	may   []string
	tests []string
	why   string
}{
	"session":                     {nil, nil, "it is the domain, which everything else is written against"},
	"session/sessiontest":         {[]string{"session"}, nil, "it serves the tests of every decoder, and knows none of them"},
	"session/sessiontest/hostile": {nil, nil, "it makes bytes by hand, because whoever would make them for it refuses to make these"},
	"spdy":                        {[]string{"session"}, []string{"session/sessiontest", "session/sessiontest/hostile"}, "it knows bytes and what they mean, not where they come from or are kept"},
	"websocket":                   {[]string{"session"}, []string{"session/sessiontest", "session/sessiontest/hostile"}, "it knows bytes and what they mean, not where they come from or are kept"},
	"cast":                        {[]string{"session"}, nil, "it is a format: it knows no wire and no file"},
	"sink":                        {[]string{"session", "cast"}, nil, "it keeps what it is told, by whatever protocol that came"},
	"upload":                      {[]string{"sink"}, []string{"session"}, "it sends files; how sessions are recorded is nothing to it"},
	"intercept":                   {[]string{"session"}, []string{"spdy"}, "it carries any protocol and tells any recorder; cmd hands it both"},
	"peercred":                    {nil, nil, "it asks the kernel one question"},
	"admin":                       {[]string{"session", "peercred"}, nil, "it is told what to tell by functions; whose they are is nothing to it"},
	"sockdiag":                    {nil, nil, "it knows sockets, not what anybody wants of them"},
	"peer":                        {[]string{"session", "sockdiag"}, nil, "it looks at the node's processes; what they have opened is nothing to it"},
	"targets":                     {[]string{"sockdiag"}, nil, "it finds addresses; what is done with them is nothing to it"},
	"iptables":                    {nil, nil, "it knows rules, not what they are for"},
	"instance":                    {[]string{"peercred"}, nil, "it knows who is there, not what is to follow from it"},
	"keeper":                      {[]string{"iptables", "instance"}, nil, "it knows that sessions would be served, not what they are"},
	"record":                      {[]string{"session"}, nil, "it chooses by whose a session is; who finds that out, and what keeps it, is nothing to it"},
	"identify":                    {[]string{"session"}, nil, "it looks at the node and at what sessions mean; how they come and where they are kept is nothing to it"},
	"cmd/exectape":                {[]string{"session", "spdy", "websocket", "cast", "sink", "upload", "intercept", "targets", "identify", "peer", "record", "iptables", "keeper", "instance", "admin"}, nil, "it is the wiring, and the one place to wire a new package into"},
}

// outside has what only some may import, and what nobody may.
var outside = []struct {
	imports string   // a path, which stands for all below it too
	only    []string // patterns of the files that may; none: nobody may
	tests   bool     // it goes for tests as well
	why     string
}{
	{"go.uber.org/zap", in("cmd/exectape", "intercept", "targets", "identify", "sink", "upload", "keeper", "admin"), true,
		"a log line is written where something is decided; a decoder returns an error"},
	{"exectape/upload", in("cmd/exectape", "upload"), true,
		"no session waits for a recorder elsewhere, whatever that does: what records knows none"},
	{"os/exec", in("iptables"), false,
		"only the rules need a program that isn't ours; exectape runs beside the runtime, as root"},
	{"github.com/prometheus", append(in("admin"), "cmd/exectape/*_test.go"), true,
		"what a package counts it tells as numbers; how they are scraped is decided in one place"},
	{"github.com/armon/go-socks5", []string{"intercept/socks.go"}, true,
		"what that library does behind one's back is made good in that one file"},
	{"github.com/caarlos0/env", in("cmd/exectape"), true,
		"a package is configured by its caller; only the command knows that there is an environment"},
	{"github.com/stretchr/testify", nil, true,
		"tests say what they want in Go; cmp.Diff shows the difference"},
	{"k8s.io", nil, true,
		"the product has no Kubernetes in it; what needs some is tested in e2e, a module of its own"},
}

// standard has the packages that need nothing but the standard library.
var standard = map[string]string{
	"session": "every other package imports it, and would import what it imports",
	"cast":    "a format that outlives us is better off without anybody's library",
}

func TestImportsKeepToTheArchitecture(t *testing.T) {
	for _, file := range goFiles(t) {
		pkg, test := path.Dir(file), strings.HasSuffix(file, "_test.go")
		rules, known := house[pkg]
		if !known && pkg != "." {
			t.Errorf("%s: package %s has no place in the house; give it one in imports_test.go and ARCHITECTURE.md", file, pkg)
			continue
		}
		may := rules.may
		if test {
			may = slices.Concat(rules.may, rules.tests)
		}
		for _, imported := range imports(t, file) {
			if own, ok := strings.CutPrefix(imported, "exectape/"); ok && own != pkg && !slices.Contains(may, own) {
				t.Errorf("%s imports our %s: package %s may not, because %s", file, own, pkg, rules.why)
			}
			if why, ok := standard[pkg]; ok && !test && fromElsewhere(imported) {
				t.Errorf("%s imports %s: package %s keeps to the standard library, because %s", file, imported, pkg, why)
			}
			for _, o := range outside {
				below := imported == o.imports || strings.HasPrefix(imported, o.imports+"/")
				if below && (o.tests || !test) && !matches(o.only, file) {
					t.Errorf("%s imports %s: it may not, because %s", file, imported, o.why)
				}
			}
		}
	}
}

func TestTheProductsModuleIsFreeOfKubernetesAndTestify(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outside {
		if o.only == nil && strings.Contains(string(mod), o.imports) {
			t.Errorf("go.mod requires %s: it may not, because %s", o.imports, o.why)
		}
	}
}

// fromElsewhere reports whether an import path begins with a host's name, as only
// those of neither the standard library nor ours do.
func fromElsewhere(imported string) bool {
	host, _, _ := strings.Cut(imported, "/")
	return strings.Contains(host, ".")
}

func matches(patterns []string, file string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, file)
		return ok && err == nil
	})
}

// in returns patterns for all files of packages.
func in(packages ...string) []string {
	var patterns []string
	for _, p := range packages {
		patterns = append(patterns, p+"/*.go")
	}
	return patterns
}

// goFiles returns the Go files of this module, but not of those inside it.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != ".":
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
		case strings.HasSuffix(name, ".go"):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}
