package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"testing"
)

// An answer is all that kubectl's user gets.
type answer struct {
	stdout, stderr string
	code           int
}

// A user runs kubectl.
type user struct {
	t *testing.T

	// spdy has kubectl speak SPDY to the API server, as it did up to 1.30.
	spdy bool
}

func (u user) protocol() string {
	if u.spdy {
		return "SPDY"
	}
	return "WebSocket"
}

// kubectl runs kubectl to its end, with input on its stdin.
func (u user) kubectl(input io.Reader, args ...string) answer {
	u.t.Helper()
	cmd := u.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &stdout, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		u.t.Fatalf("%q: %v", cmd.Args, err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// does runs what must succeed, and returns what it prints.
func (u user) does(args ...string) string {
	u.t.Helper()
	a := u.kubectl(nil, args...)
	if a.code != 0 {
		u.t.Fatalf("kubectl %q: code %d\n%s", args, a.code, a.stderr)
	}
	return a.stdout
}

// command returns kubectl. Unless told otherwise it is about the tests' pods.
func (u user) command(args ...string) *exec.Cmd {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), patience)
	u.t.Cleanup(cancel)
	cmd := kubernetes.Kubectl(ctx, args...)
	cmd.Env = append(cmd.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+strconv.FormatBool(!u.spdy))
	return cmd
}
