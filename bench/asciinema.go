package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"exectape/bench/content"
)

// asciinema records a command that prints so many bytes of a kind, which is what
// people do who record without a cluster. Its time is that of its process and of
// the command's.
func asciinema(name string, k content.Kind, size int64) load {
	return load{name: name, run: func(ctx context.Context, s scene, c *Cell) error {
		cycle := bytes.Join(content.Frames(k), nil)
		file, err := os.Create(filepath.Join(s.dir, "printed"))
		if err != nil {
			return err
		}
		defer file.Close()
		for c.Bytes < size {
			n, err := file.Write(cycle)
			if err != nil {
				return err
			}
			c.Bytes += int64(n)
		}
		c.Sessions = 1
		cmd := exec.CommandContext(ctx, "asciinema", "rec", "-q", "--overwrite", "-c", "cat "+file.Name(), filepath.Join(s.dir, "it.cast"))
		start := time.Now()
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("asciinema rec: %w: %.200s", err, said)
		}
		c.Seconds = time.Since(start).Seconds()
		c.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		return nil
	}}
}
