package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRulesScripts runs testdata/rules: scripts that change rules, in network
// namespaces that they make for it.
func TestRulesScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv(prefix+"TEST_ROOT") == "1" {
			t.Fatal("EXECTAPE_TEST_ROOT=1, but this test lacks root, to make a network namespace")
		}
		t.Skip("lacking: root, to make a network namespace")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/rules",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
