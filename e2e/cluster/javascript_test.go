package cluster_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// Dashboards speak a WebSocket protocol that nobody translates on its way to the
// runtime.
func TestASessionOfAnotherClientIsRecorded(t *testing.T) {
	needsCluster(t)
	install(t)
	all := tapesFromNowOn(t)
	script := `read line; echo "got $line"; echo "this is stderr" >&2; exit 3`
	got := user{t: t}.javascript("hello\n", "sh", "-c", script)
	if want := (answer{"got hello\n", "this is stderr\n", 3}); got != want {
		t.Errorf("%s; want %s", got.short(), want.short())
	}
	all.next().is(want{verb: "exec", exit: 3, stdout: []byte("got hello\n"), stderr: []byte("this is stderr\n"), protocol: "websocket", certain: true})
	all.none()
}

// javascript runs a command in the tests' container with the JavaScript client.
func (u user) javascript(input string, command ...string) answer {
	u.t.Helper()
	kubectl := u.command()
	cmd := exec.Command("node", append([]string{"javascript/exec.mjs", "shop", "web", "app"}, command...)...)
	cmd.Env = kubectl.Env
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	_ = cmd.Run() // the code says how it went
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
