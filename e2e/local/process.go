package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"exectape/e2e/terminal"
)

func runOnPipes(ctx context.Context, command []string, in io.Reader, out, err io.Writer) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, err
	if in == nil {
		return outcome(cmd.Run())
	}
	// Not cmd.Stdin: Wait would wait for the client to end it.
	stdin, pipeErr := cmd.StdinPipe()
	if pipeErr != nil {
		return pipeErr
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(stdin, in) // whichever ends first
		_ = stdin.Close()
	}()
	return outcome(cmd.Wait())
}

func runOnTerminal(ctx context.Context, command []string, in io.Reader, out io.Writer, sizes <-chan remotecommand.TerminalSize) error {
	ours, theirs, err := terminal.Open()
	if err != nil {
		return err
	}
	defer ours.Close()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return err
	}
	go func() {
		for size := range sizes {
			_ = terminal.Resize(ours, size.Width, size.Height) // the process may have ended
		}
	}()
	if in != nil {
		go func() { _, _ = io.Copy(ours, in) }() // whichever ends first
	}
	// It ends, with an error, when the last process has closed the terminal, or
	// when the client is gone: then the terminal hangs up.
	_, _ = io.Copy(out, ours)
	_ = ours.Close()
	return outcome(cmd.Wait())
}

// outcome turns how a process ended into an error that the streaming server
// understands.
func outcome(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return utilexec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: code}
}
