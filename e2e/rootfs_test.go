package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"exectape/e2e/recorder"
)

// imageRoot makes the file system of the image, as the Dockerfile does, for the
// test's time, with what a container has mounted.
func imageRoot(t *testing.T) string {
	t.Helper()
	t.Setenv("CGO_ENABLED", "0")
	binary, err := recorder.Build(t.Context(), "..", t.TempDir(), "-trimpath") // the whole standard library anew
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(shortDirectory(t), "root")
	if said, err := exec.CommandContext(patiently(t), "../deploy/rootfs.sh", binary, root).CombinedOutput(); err != nil {
		t.Fatalf("rootfs.sh: %v\n%s", err, said)
	}
	for _, directory := range []string{"proc", "run"} {
		to := filepath.Join(root, directory)
		if err := unix.Mount("/"+directory, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(to, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	return root
}

// inRoot returns a program that runs in another root directory.
func inRoot(t *testing.T, root, program string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "in-root")
	text := fmt.Sprintf("#!/bin/sh\nexec chroot %q %q \"$@\"\n", root, program)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

func TestTheImageHasWhatExectapeRuns(t *testing.T) {
	needsNode(t)
	root := imageRoot(t)
	for _, program := range []string{
		"iptables-nft", "iptables-nft-restore", "ip6tables-nft-save",
		"iptables-legacy", "iptables-legacy-restore", "ip6tables-legacy-save",
	} {
		if said, err := exec.CommandContext(patiently(t), "chroot", root, "/usr/sbin/"+program, "--version").CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", program, err, said)
		}
	}
	for _, w := range redirects {
		t.Run(w.name, func(t *testing.T) {
			e := newExectape(t, w.env[0], auto)
			// Its directory is below the root; the tests look at it from outside.
			e.keepIn("/run/casts-" + filepath.Base(t.TempDir()))
			e.answerOn("/run/exectape-" + filepath.Base(filepath.Dir(root)) + ".sock")
			t.Cleanup(func() { _ = os.RemoveAll(e.casts) })
			e.program.Path = inRoot(t, root, "/usr/bin/exectape")
			e.program.Env = append(e.program.Env, "PATH=/usr/sbin:/usr/bin")
			e.start()
			e.probe(true, "targets: ok")
			e.saysHello(app)
		})
	}
}

func TestTheImageHasNothingElse(t *testing.T) {
	needsNode(t)
	root := imageRoot(t)
	for _, directory := range []string{"bin", "usr/bin", "usr/sbin", "sbin"} {
		entries, err := os.ReadDir(filepath.Join(root, directory))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := e.Name(); name != "exectape" && !strings.Contains(name, "tables-") {
				t.Errorf("/%s/%s is in the image", directory, name)
			}
		}
	}
}
