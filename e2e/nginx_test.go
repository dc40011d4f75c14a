package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exectape/e2e/transcript"
)

// An nginx is configured as README.md says, and keeps what is put below URL.
type nginx struct {
	URL   string
	casts string // the directory
	parts string // that of what has not arrived whole
}

// startNginx starts one for the test's time.
func startNginx(t *testing.T) nginx {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/nginx") // which only root has in his PATH
	}
	if err != nil {
		skip(t, err)
	}
	directory, address := t.TempDir(), freeAddress(t)
	n := nginx{fmt.Sprintf("http://%s/casts", address), filepath.Join(directory, "srv", "casts"), filepath.Join(directory, "srv", "casts.part")}
	if err := os.MkdirAll(n.casts, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(directory, "nginx.conf")
	location := strings.ReplaceAll(documented(t, "nginx"), "/srv", filepath.Join(directory, "srv"))
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, directory, address, location), 0o600); err != nil {
		t.Fatal(err)
	}

	var said transcript.Transcript
	cmd := exec.Command(program, "-p", directory, "-c", config, "-e", "stderr")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := <-ended; err != nil {
			t.Errorf("nginx: %v", err)
		}
		if t.Failed() {
			t.Logf("nginx said:\n%s", said.Bytes())
		}
	})
	awaitListener(t, address)
	return n
}

// nginxConfig is what is around a location. It has one process, which stays who
// we are: a worker of another user could not get into a test's directory.
const nginxConfig = `daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log /dev/stderr;
	server {
		listen %[2]s;
		%[3]s
	}
}
`

// documented returns the block in a language that README.md has.
func documented(t *testing.T, language string) string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := bytes.Cut(readme, []byte("\n```"+language+"\n"))
	block, _, closed := bytes.Cut(block, []byte("\n```\n"))
	if !found || !closed {
		t.Fatalf("README.md has no block of %s", language)
	}
	return string(block)
}

// freeAddress returns one where nothing listens.
func freeAddress(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// awaitListener waits until something listens at an address.
func awaitListener(t *testing.T, address netip.AddrPort) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s can be reached", address), func(ctx context.Context) bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address.String())
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func(context.Context) bool) {
	t.Helper()
	ctx := patiently(t)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !so(ctx) {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("it is still not so that %s: %v", what, errors.Unwrap(ctx.Err()))
		}
	}
}
