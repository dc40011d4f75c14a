package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A program that calls Enter runs three times, each time as another stage:
//
//	outside           as it was started; waits, and cleans up
//	└─ first          process 1 of the new namespaces; mounts, reaps orphans
//	   └─ inside      does the work
//
// The kernel kills all of a process namespace with its process 1, and process 1
// with the outside one. So nothing is left to stop.
const (
	stageVariable = "EXECTAPE_TEST_NODE_STAGE"
	stageFirst    = "first"
	stageInside   = "inside"
)

// A program's first stage ends here: it never reaches main.
func init() {
	if os.Getenv(stageVariable) == stageFirst {
		os.Exit(first())
	}
}

// Inside reports whether this program runs inside the namespaces already.
func Inside() bool { return os.Getenv(stageVariable) == stageInside }

// Enter runs this program again, with the same arguments, inside new
// namespaces, and returns its exit code there. The program asks [Inside] before
// it calls Enter.
//
// SIGINT and SIGTERM are passed on to the program inside.
func Enter() (code int, err error) {
	// The parent that a death signal watches is a thread, not a process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cgroups := "exectape-node-" + strconv.Itoa(os.Getpid())
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVariable+"="+stageFirst, cgroupsVariable+"="+cgroups)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("make namespaces: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may have ended
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = nil
	}
	return cmd.ProcessState.ExitCode(), errors.Join(err, removeCgroups(cgroups))
}

const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID

// first is process 1 of the namespaces. It returns the exit code of the
// program inside.
func first() int {
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv(stageVariable, stageInside); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	inside, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the program inside the namespaces:", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for s := range signals {
			_ = syscall.Kill(inside, s.(syscall.Signal)) // it may have ended
		}
	}()
	return reap(inside)
}

// reap waits for every process that ends up a child of process 1, until it has
// seen the one called pid. It returns that one's exit code.
func reap(pid int) int {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Fprintln(os.Stderr, "wait for the program inside the namespaces:", err)
			return 1
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal())
		case ended == pid:
			return status.ExitStatus()
		}
	}
}

// furnish mounts what is to be private, and brings the loopback up. /sys stays
// the machine's: in a network namespace a new one would have no cgroups.
func furnish() error {
	mounts := []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0},
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	// iptables-legacy keeps its lock here.
	if err := os.Mkdir("/run/lock", 0o755); err != nil {
		return err
	}
	return raiseLoopback()
}

// raiseLoopback does what "ip link set lo up" does.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring the loopback up: %w", err)
	}
	return nil
}
