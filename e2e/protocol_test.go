package e2e_test

import (
	"fmt"
	"testing"

	"exectape/e2e/kubelet"
)

func TestASessionIsRecordedToTheByteInEitherProtocol(t *testing.T) {
	needsNode(t)
	e := start(t)
	// The second line is for CRI-O, which does not wait for what a terminal shows
	// last.
	script := shell(`echo naïve; printf 'no text: \377\303\n'; read line; echo "got $line"; echo no >&2; read line; exit 3`)
	for protocol, k := range map[string]kubelet.Kubelet{"SPDY": direct, "WebSocket": overWebSocket} {
		for _, process := range []kubelet.Process{
			{Command: script, Stdin: true, TTY: true},
			{Command: script, Stdin: true},
			{Command: script}, // there are no lines
		} {
			t.Run(fmt.Sprintf("%s, stdin %v, tty %v", protocol, process.Stdin, process.TTY), func(t *testing.T) {
				u := run(t, k, app, process)
				if process.Stdin {
					u.types("hello\n")
					u.sees("got hello")
					u.types("bye\n")
				}
				e.on(t).recorded().wantAnswer(u.leaves())
			})
		}
	}
}
