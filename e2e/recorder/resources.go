package recorder

import (
	"bytes"
	"fmt"
	"os"
)

// ForgetPeak makes what memory the recorder has now its peak.
func (r *Recorder) ForgetPeak() error {
	return os.WriteFile(r.proc("clear_refs"), []byte("5"), 0)
}

// PeakMemory returns the most bytes of memory that the recorder has had at once.
func (r *Recorder) PeakMemory() (int64, error) {
	status, err := os.ReadFile(r.proc("status"))
	if err != nil {
		return 0, err
	}
	var kibibytes int64
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	if _, err := fmt.Sscan(string(rest), &kibibytes); err != nil {
		return 0, fmt.Errorf("%s: VmHWM: %w", r.proc("status"), err)
	}
	return kibibytes << 10, nil
}

func (r *Recorder) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", r.process.Process.Pid, file)
}

// Descriptors returns how many file descriptors the recorder has.
func (r *Recorder) Descriptors() (int, error) {
	all, err := os.ReadDir(r.proc("fd"))
	return len(all), err
}
