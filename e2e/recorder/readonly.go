package recorder

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// changing are the system calls that a read-only file system refuses.
const changing = "openat,write,pwrite64,fsync,fdatasync,ftruncate,renameat,renameat2,unlinkat"

// ReadOnly has whatever the recorder does to files that exist by now, or in the
// directories among them, fail as on a file system that the kernel has made
// read-only because it found it in disorder. strace stands in for that: nobody
// but the kernel can make a file system read-only while files in it are being
// written, and what it has made so does not come back before all are closed.
// What it returns takes that back.
func (r *Recorder) ReadOnly(paths ...string) (restore func() error, err error) {
	args := []string{"--follow-forks", "--output=/dev/null", "--attach=" + strconv.Itoa(r.process.Process.Pid),
		"--trace=" + changing, "--inject=" + changing + ":error=EROFS"}
	for _, path := range paths {
		args = append(args, "--trace-path="+path)
	}
	tracer := exec.Command("strace", args...)
	said, err := tracer.StderrPipe()
	if err == nil {
		err = tracer.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("make files read-only: %w", err)
	}
	// All threads are traced once it has said so; of those that follow it says it,
	// too.
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make files read-only: %w", err), tracer.Wait())
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, said)
	}()
	return func() error {
		err := tracer.Process.Signal(syscall.SIGTERM) // on which it lets go
		<-drained
		_ = tracer.Wait() // it says that a signal has ended it
		if err != nil {
			return fmt.Errorf("strace, which said %q: %w", line, err)
		}
		return nil
	}, nil
}
