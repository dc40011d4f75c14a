package session_test

import (
	"slices"
	"strings"
	"testing"

	"exectape/session"
)

func TestWhatIsNoStatusIsKeptRaw(t *testing.T) {
	const success = `{"metadata":{},"status":"Success"}`
	tests := []struct {
		name, stream string
		told         bool
		raw          string
	}{
		{"a status", success, true, ""},
		{"a status behind blanks", " \n" + success, true, ""},
		{"what follows a status", success + "more", true, "more"},
		{"text", "exec failed", false, "exec failed"},
		{"text behind blanks", " \nexec failed", false, " \nexec failed"},
		{"a status with many braces", success[:len(success)-1] + `,"message":"\"` + strings.Repeat("{}}", 5000) + `\\"}`, true, ""},
		{"broken JSON", `{"status"::}` + success, false, `{"status"::}` + success},
		{"JSON of another kind", `{"status":[]}`, false, `{"status":[]}`},
		{"half a status", success[:20], false, ""},
		{"more than there is room for", `{"` + strings.Repeat("x", 64<<10), false, "xx"},
	}
	for _, test := range tests {
		for _, step := range []int{1, 7, len(test.stream)} {
			outcome := session.NewOutcome("v4.channel.k8s.io")
			told, raw := false, ""
			for rest := test.stream; rest != ""; {
				n := min(step, len(rest))
				outcome.Tell([]byte(rest[:n]), func(e session.Event) {
					told = told || e.Kind == session.Status
					if e.Kind == session.Raw {
						raw += string(e.Data)
					}
				})
				rest = rest[n:]
			}
			if told != test.told || raw != test.raw {
				t.Errorf("%s, %d bytes at once: told %v, raw %q; want %v, %q", test.name, step, told, raw, test.told, test.raw)
			}
		}
	}
}

func TestPlainTextIsToldOncePerFrame(t *testing.T) {
	for _, step := range []int{1, 3, 100} {
		outcome := session.NewOutcome("v3.channel.k8s.io")
		var told []string
		emit := func(e session.Event) { told = append(told, e.Exit.Message) }
		for _, frame := range []string{"it ", "", "failed"} {
			for part := range slices.Chunk([]byte(frame), step) {
				outcome.Tell(part, emit)
			}
			outcome.End(emit)
		}
		if want := []string{"it ", "it failed"}; !slices.Equal(told, want) {
			t.Errorf("%d bytes at once: told %q, want %q", step, told, want)
		}
	}
}
