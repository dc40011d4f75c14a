package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// A component is a running program of the cluster.
type component struct {
	name  string
	log   *os.File
	cmd   *exec.Cmd
	ended chan struct{}
}

// start runs a program, which logs to a file of its own in directory.
func start(directory, path string, args ...string) (*component, error) {
	name := filepath.Base(path)
	log, err := os.Create(filepath.Join(directory, name+".log"))
	if err != nil {
		return nil, err
	}
	c := &component{name: name, log: log, cmd: exec.Command(path, args...), ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.Dir = directory
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // it is told by its log
	}()
	return c, nil
}

// stop ends the program and waits for that. What it keeps is thrown away, so it
// need not end in order.
func (c *component) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	<-c.ended
	return c.log.Close()
}

// running returns an error, with the end of its log, if the program has ended.
func (c *component) running() error {
	select {
	case <-c.ended:
		return fmt.Errorf("%s has ended:\n%s", c.name, c.lastLines())
	default:
		return nil
	}
}

// lastLines is the end of the log, for an error.
func (c *component) lastLines() []byte {
	all, _ := os.ReadFile(c.log.Name())
	return bytes.TrimSpace(all[max(0, len(all)-4096):])
}
