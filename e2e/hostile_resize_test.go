package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"exectape/e2e/kubelet"
	"exectape/session/sessiontest/hostile"
)

// A resizer sends its terminal's sizes in frames of its own making.
type resizer struct {
	name   string
	frames []string
	server string   // the size that the process's terminal comes to have, as ROWS COLS
	sizes  []string // what the recording has, as COLSxROWS
}

const (
	small = `{"Width":81,"Height":25}`
	large = `{"Width":132,"Height":43}`
)

var resizers = []resizer{
	{"one in a frame", []string{small, large}, "43 132", []string{"81x25", "132x43"}},
	{"two in a frame", []string{small + large}, "43 132", []string{"81x25", "132x43"}},
	{"one over three frames", []string{`{"Wid`, `th":81,"Hei`, `ght":25}`}, "25 81", []string{"81x25"}},
	{"keys in any case, and others", []string{`{"wIDTH":81,"x":[1,{}],"height":25}`}, "25 81", []string{"81x25"}},
	{"blanks without end", []string{strings.Repeat(" ", 1<<20), small}, "25 81", []string{"81x25"}},
	{"null changes nothing", []string{small, "null"}, "25 81", []string{"81x25"}},
	{"nothing behind garbage", []string{small, "}", large}, "25 81", []string{"81x25"}},
	{"nothing behind a negative", []string{small, `{"Width":-1,"Height":43}`, large}, "25 81", []string{"81x25"}},
	{"nothing behind one too huge", []string{small, `{"Width":70000,"Height":43}`, large}, "25 81", []string{"81x25"}},
	{"nothing behind a fraction", []string{small, `{"Width":1.5,"Height":43}`, large}, "25 81", []string{"81x25"}},
	{"nothing behind a string", []string{small, `"132x43"`, large}, "25 81", []string{"81x25"}},
	// The server has no bound of its own here; see "Limits" in ARCHITECTURE.md.
	{"a document of 1 MiB is not waited for", []string{small, `{"x":"` + strings.Repeat("x", 1<<20) + `",` + large[1:]}, "43 132", []string{"81x25"}},
}

func TestHostileResizes(t *testing.T) {
	var trials []trial
	for _, r := range resizers {
		client := spdyClient{
			name:    r.name,
			process: sized(r.server),
			open:    asTerminal,
			then: func(a *attacker) {
				for _, f := range r.frames {
					a.sends(hostile.Data(resizeID, 0, []byte(f)))
				}
			},
		}.trial()
		client.check = func(t *testing.T, recorded recording) {
			tape := recorded.tape()
			if diff := cmp.Diff(r.sizes, append([]string{tape.size}, tape.all("r")...)); diff != "" {
				t.Errorf("the recorded sizes (-want +got):\n%s", diff)
			}
		}
		trials = append(trials, client)
	}
	testTrials(t, spdyDialect, trials)
}

// sized waits until its terminal has a size, and then to be spoken to.
func sized(rowsAndCols string) kubelet.Process {
	return kubelet.Process{
		Command: shell(fmt.Sprintf(`echo ready; until [ "$(stty size 2>/dev/null)" = "%s" ]; do :; done; read line; stty size; echo "got $line"`, rowsAndCols)),
		Stdin:   true,
		TTY:     true,
	}
}

// resizeID is where a session with a terminal has its sizes, instead of a
// stderr.
const resizeID = stderrID

func asTerminal(a *attacker) {
	a.opens(errorID, "error")
	a.opens(stdinID, "stdin")
	a.opens(stdoutID, "stdout")
	a.opens(resizeID, "resize")
}
