package contender

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a running program of which the kernel tells what it costs.
type Process struct {
	cmd    *exec.Cmd
	output *os.File      // our end of what it says
	ready  chan string   // the first line that says that it is
	told   chan struct{} // closed when nothing more is said
	last   []byte        // the last that was
}

// start starts a program and waits for a line of its output that contains ready,
// which it returns. If ready is empty, it waits for nothing.
func start(ctx context.Context, ready string, env []string, args ...string) (p *Process, line string, err error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	p = &Process{output: ours, ready: make(chan string, 1), told: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = theirs, theirs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = p.cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return nil, "", err
	}
	go p.listen(ready)
	if ready == "" {
		return p, "", nil
	}
	select {
	case line = <-p.ready:
		return p, line, nil
	case <-p.told:
		err = fmt.Errorf("%s ended: %s", args[0], p.last)
	case <-ctx.Done():
		err = fmt.Errorf("%s is not ready: %w", args[0], ctx.Err())
	}
	_ = p.Stop()
	return nil, "", err
}

func (p *Process) listen(ready string) {
	defer close(p.told)
	lines := bufio.NewReader(p.output)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			p.last = append(p.last[:0], line...)
		}
		if ready != "" && bytes.Contains(line, []byte(ready)) {
			p.ready <- string(line)
			ready = ""
		}
		if err != nil {
			_, _ = io.Copy(io.Discard, lines)
			return
		}
	}
}

// Stop asks the process to end, and waits until it has.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	kill := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	<-p.told
	_ = p.output.Close()
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState.ExitCode() > 0 && p.cmd.ProcessState.ExitCode() < 128 {
		return fmt.Errorf("%s: %w: %s", p.cmd.Path, err, p.last)
	}
	return nil
}

// CPU returns how much time all threads of the process had, in the kernel too.
func (p *Process) CPU() (time.Duration, error) {
	const ofProcess = 2 // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	clock := int32(^p.cmd.Process.Pid<<3 | ofProcess)
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", p.cmd.Process.Pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// RSS returns how much memory of the process is resident, in bytes.
func (p *Process) RSS() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kibibytes int64
	if _, err := fmt.Sscan(rest, &kibibytes); err != nil {
		return 0, fmt.Errorf("VmRSS: %w", err)
	}
	return kibibytes << 10, nil
}

// Descriptors returns how many the process has open.
func (p *Process) Descriptors() (int, error) {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(all), err
}
