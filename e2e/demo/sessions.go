package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"

	"exectape/e2e/kubelet"
)

// aShellOnATerminal is a user at a shell, whose window changes its size twice.
func (s *scene) aShellOnATerminal(ctx context.Context) error {
	s.begins("A shell on a terminal")
	s.says(`
		Now the sessions. This demo plays the kubelet: it asks the runtime for a
		session, gets a URL that is good for one connection, and connects to that.

		The first is what "kubectl exec -it shop -- sh" leads to, from a window of 100
		columns and 30 rows, which then grows and shrinks.`)
	shell, err := s.open(ctx, kubelet.Process{Command: []string{"sh"}, Stdin: true, TTY: true})
	if err != nil {
		return err
	}
	for _, size := range []struct{ cols, rows uint16 }{{100, 30}, {132, 43}, {80, 24}} {
		if err := resize(ctx, shell, size.cols, size.rows); err != nil {
			return err
		}
	}
	for _, line := range []string{"echo Hello, wörld", "exit"} {
		if err := enter(ctx, shell, line); err != nil {
			return err
		}
	}
	_, err = s.ended(ctx, shell)
	s.shows(shell.Stdout.Bytes())
	return err
}

// resize resizes the window, and looks at its size until the shell knows it
// too: a size comes beside what is typed, and not in order with it.
func resize(ctx context.Context, shell *kubelet.Session, cols, rows uint16) error {
	if err := shell.Resize(ctx, cols, rows); err != nil {
		return err
	}
	for {
		if err := enter(ctx, shell, "stty size"); err != nil {
			return err
		}
		shown, err := shell.Until(ctx, "\r\n")
		if err != nil || shown == fmt.Sprintf("%d %d\r\n", rows, cols) {
			return err
		}
	}
}

// enter types a line at the prompt, and waits until the shell has it. What is
// echoed need not be that line: a shell whose window changes its size while it
// reads draws the line again.
func enter(ctx context.Context, shell *kubelet.Session, line string) error {
	err := shell.Stdout.Await(ctx, func(all []byte) bool {
		shown := control.ReplaceAllString(string(all), "")
		return strings.HasSuffix(shown, "# ") || strings.HasSuffix(shown, "$ ")
	})
	if err != nil {
		return fmt.Errorf("wait for the shell's prompt: %w", err)
	}
	if err := shell.Send([]byte(line + "\n")); err != nil {
		return err
	}
	_, err = shell.Until(ctx, "\r\n")
	return err
}

// aCommandThatFails writes to both of its outputs.
func (s *scene) aCommandThatFails(ctx context.Context) error {
	s.begins("A command that fails")
	s.says(`
		It writes to stdout and to stderr, and exits with 3. Scripts run commands like
		this one, without a terminal.`)
	script := "echo this is stdout; echo this is stderr >&2; exit 3"
	command, err := s.open(ctx, kubelet.Process{Command: []string{"sh", "-c", script}})
	if err != nil {
		return err
	}
	code, err := s.ended(ctx, command)
	if err != nil {
		return err
	}
	s.shows(append(command.Stdout.Bytes(), command.Stderr.Bytes()...))
	s.says(`
		The user gets exit code %d, as without exectape.`, code)
	return nil
}

// anUpload sends bytes that are no text.
func (s *scene) anUpload(ctx context.Context) error {
	s.begins("An upload")
	upload := make([]byte, 1<<20)
	_, _ = rand.Read(upload) // never fails
	sum := fmt.Sprintf("%x", sha256.Sum256(upload))
	s.says(`
		1 MiB of random bytes goes to the stdin of "sha256sum". Before it is sent, the
		sum is
		%s.`, sum)
	command, err := s.open(ctx, kubelet.Process{Command: []string{"sha256sum"}, Stdin: true})
	if err != nil {
		return err
	}
	if err := command.Send(upload); err != nil {
		return err
	}
	command.EndStdin()
	if _, err := s.ended(ctx, command); err != nil {
		return err
	}
	got := command.Stdout.Bytes()
	s.shows(got)
	if !bytes.HasPrefix(got, []byte(sum)) {
		return fmt.Errorf("what arrived is not what was sent, whose sum is %s", sum)
	}
	s.says(`
		It arrived as it was. None of it is in the cast: what is typed can be a password.`)
	return nil
}

// open asks the runtime for a session and connects to the URL that it returns.
func (s *scene) open(ctx context.Context, process kubelet.Process) (*kubelet.Session, error) {
	u, err := s.runtime.Exec(ctx, process)
	if err != nil {
		return nil, err
	}
	s.says("The URL: %s", u)
	return s.kubelet.Open(ctx, u, process), nil
}

// ended waits for a session's end, and for its cast to be finished.
func (s *scene) ended(ctx context.Context, session *kubelet.Session) (code int, err error) {
	err = session.Wait()
	code, ok := kubelet.ExitCode(err)
	if !ok {
		return 0, err
	}
	line, err := s.exectape.Log.Next(ctx, "session ended")
	if err != nil {
		return 0, err
	}
	s.recorded = append(s.recorded, filepath.Join(s.casts, filepath.Base(line.Text("cast"))))
	return code, nil
}
