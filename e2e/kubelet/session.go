package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"exectape/e2e/transcript"
)

// A Session is the user's end of one. Its methods are for one goroutine.
type Session struct {
	Stdout transcript.Transcript
	Stderr transcript.Transcript // empty on a terminal

	keyboard *io.PipeWriter
	sizes    sizes
	ended    chan error
	over     chan struct{} // closed when the session has ended
	seen     int           // how much of Stdout the user has waited for
}

// Open opens the session of process at u. It ends by itself, or with ctx.
func (k Kubelet) Open(ctx context.Context, u *url.URL, process Process) *Session {
	stdin, keyboard := io.Pipe()
	s := &Session{keyboard: keyboard, sizes: make(sizes), ended: make(chan error, 1), over: make(chan struct{})}
	streams := remotecommand.StreamOptions{Stdout: &s.Stdout, Tty: process.TTY}
	if process.TTY {
		streams.TerminalSizeQueue = s.sizes
	} else {
		streams.Stderr = &s.Stderr
	}
	if process.Stdin {
		streams.Stdin = stdin
	}
	go func() {
		err := k.stream(ctx, u, streams)
		_ = stdin.CloseWithError(errors.Join(errEnded, err)) // for Send
		_ = s.Stdout.Close()
		_ = s.Stderr.Close()
		close(s.over)
		s.ended <- err
	}()
	return s
}

var errEnded = errors.New("the session has ended")

// Send sends data to stdin.
func (s *Session) Send(data []byte) error {
	_, err := s.keyboard.Write(data)
	return err
}

// EndStdin is a Ctrl-D, or the end of a pipe.
func (s *Session) EndStdin() { _ = s.keyboard.Close() } // it never fails

// Resize changes the size of the user's terminal.
func (s *Session) Resize(ctx context.Context, cols, rows uint16) error {
	select {
	case s.sizes <- remotecommand.TerminalSize{Width: cols, Height: rows}:
		return nil
	case <-s.over:
		return errEnded
	case <-ctx.Done():
		return fmt.Errorf("the session takes no size: %w", ctx.Err())
	}
}

// Until waits until text is on Stdout, behind what was waited for before, and
// returns what came up to its end.
func (s *Session) Until(ctx context.Context, text string) (shown string, err error) {
	err = s.Stdout.Await(ctx, func(all []byte) bool {
		at := bytes.Index(all[s.seen:], []byte(text))
		if at < 0 {
			return false
		}
		shown = string(all[s.seen : s.seen+at+len(text)])
		s.seen += len(shown)
		return true
	})
	if err != nil {
		return "", fmt.Errorf("%q was not shown: %w; there is only %.1000q", text, err, s.Stdout.Bytes()[s.seen:])
	}
	return shown, nil
}

// Wait waits for the session's end. A command's exit code is in the error: see
// [ExitCode]. It is called once, after everything else.
func (s *Session) Wait() error {
	close(s.sizes)
	return <-s.ended
}

// ExitCode returns the exit code in an error of Wait. It reports false for an
// error that has none: then the session failed, not its command.
func ExitCode(err error) (code int, ok bool) {
	if err == nil {
		return 0, true
	}
	var exit exec.ExitError
	if !errors.As(err, &exit) || !exit.Exited() {
		return 0, false
	}
	return exit.ExitStatus(), true
}

// sizes implements [remotecommand.TerminalSizeQueue].
type sizes chan remotecommand.TerminalSize

// Next waits for the next size, and returns nil when there is no more.
func (s sizes) Next() *remotecommand.TerminalSize {
	size, more := <-s
	if !more {
		return nil
	}
	return &size
}
