package main

import (
	"io"
	"regexp"
	"strings"
	"testing"
)

// What each command's -h says, and in what form.
func TestHelpSaysHowWithAnExampleAndWhatTheExitCodesMean(t *testing.T) {
	for _, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			if err := c.run(t.Context(), config{}, []string{"-h"}, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			help := out.String()
			for _, want := range []string{`^Usage: exectape ` + c.name, `\n\nExamples?: (?s:.*)\n  [^\n]*exectape \w`, `\nExit codes: 0, [^;]+;\s1, [^;]+;\s2, `} {
				if !regexp.MustCompile(want).MatchString(help) {
					t.Errorf("no %q in:\n%s", want, help)
				}
			}
			for line := range strings.Lines(help) {
				if n := len(line); n > 81 {
					t.Errorf("%d columns: %s", n-1, line)
				}
			}
		})
	}
}
