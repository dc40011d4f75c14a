package cluster_test

import (
	"bytes"
	"os/exec"
	"strings"
)

// javascript runs a command in the tests' container with the JavaScript client.
// As dashboards do it speaks a protocol over WebSocket that nobody translates on
// its way to the runtime.
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
