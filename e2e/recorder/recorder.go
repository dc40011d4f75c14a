// Package recorder runs exectape as its users do: the built command, configured
// by its environment, watched through its log.
//
// It knows nothing of what is inside: what it tells is what an operator sees.
package recorder

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// Build builds the command from the product's sources in the directory source,
// and returns its path in the directory target.
func Build(ctx context.Context, source, target string, flags ...string) (string, error) {
	program := filepath.Join(target, "exectape")
	args := append([]string{"build", "-o", program}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "./cmd/exectape")...)
	build.Dir = source
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/exectape: %w\n%s", err, said)
	}
	return program, nil
}

// A Program is a built exectape and the environment that configures it.
type Program struct {
	Path string
	Env  []string            // the EXECTAPE_ variables
	User *syscall.Credential // nil: as we are
}

// Command returns a command of the program, such as "ls", that was not started
// yet.
func (p Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, args...)
	// Built with the race detector, a program would end a second late.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.User}
	return cmd
}

// A Recorder is a running "exectape run".
type Recorder struct {
	Log *Log

	process *exec.Cmd
	asked   sync.Once     // to terminate
	ended   chan struct{} // closed when the process has ended
	err     error         // how it did
}

// Start starts recording. It returns when the recorder is ready, and else with
// an error that says what it logged.
func (p Program) Start(ctx context.Context) (*Recorder, error) {
	r, err := p.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := r.Log.Next(ctx, "ready"); err != nil {
		r.Kill()
		return nil, fmt.Errorf("exectape did not become ready: %w\n%s", err, r.Log)
	}
	return r, nil
}

// Begin starts a recorder that need not become ready.
func (p Program) Begin(ctx context.Context) (*Recorder, error) {
	r := &Recorder{Log: new(Log), ended: make(chan struct{})}
	// The command is not bound to ctx: what is started is stopped.
	r.process = p.Command(context.WithoutCancel(ctx), "run")
	r.process.Stdout, r.process.Stderr = &r.Log.all, &r.Log.all
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		r.err = r.process.Wait()
		_ = r.Log.all.Close() // it never fails
		close(r.ended)
	}()
	return r, nil
}

// Terminate asks the recorder to stop, as its service manager does. It asks only
// once: a second SIGTERM would end the recorder at once.
func (r *Recorder) Terminate() {
	r.asked.Do(func() { _ = r.process.Process.Signal(syscall.SIGTERM) }) // it may have ended
}

// Ended reports whether the recorder has ended.
func (r *Recorder) Ended() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// Kill ends the recorder at once, in the middle of whatever it does.
func (r *Recorder) Kill() {
	_ = r.process.Process.Kill() // it may have ended
	<-r.ended
}

// Signal sends the recorder a signal.
func (r *Recorder) Signal(s syscall.Signal) error { return r.process.Process.Signal(s) }

// Freeze keeps the recorder from doing anything, until Thaw.
func (r *Recorder) Freeze() error { return r.process.Process.Signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (r *Recorder) Thaw() error { return r.process.Process.Signal(syscall.SIGCONT) }

// Wait waits until the recorder has ended. Its error says with which exit code,
// unless that is 0.
func (r *Recorder) Wait(ctx context.Context) error {
	select {
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("exectape did not end: %w", ctx.Err())
	}
}
