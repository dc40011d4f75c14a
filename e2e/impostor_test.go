package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/cri-streaming/pkg/streaming"
)

// impostorVariable says that this program is to serve as a runtime does, and
// how: see impersonate.
const impostorVariable = "EXECTAPE_TEST_IMPOSTOR"

// An impostor is a process by the name of a runtime that can't be had here, with
// a streaming server as that one's.
type impostor struct {
	comm   string
	serves string // "HANDLER ADDRESS": see impersonate
	uid    uint32

	// setuid has it started by uid, and run as root because its file says so.
	setuid bool
}

// start starts the impostor for the test's time, and returns where it listens.
func (i impostor) start(t *testing.T) netip.AddrPort {
	t.Helper()
	program := i.install(t)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), impostorVariable+"="+i.serves)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: i.uid, Gid: i.uid}, Pdeathsig: syscall.SIGKILL}
	says, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // as it was told to
	})
	line, err := bufio.NewReader(says).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(strings.TrimSpace(line))
}

// install makes a copy of this program with the impostor's name, which is what
// the kernel calls the process.
func (i impostor) install(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("/run", "impostor-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	mode := os.FileMode(0o755)
	if i.setuid {
		mode |= os.ModeSetuid
	}
	program := filepath.Join(directory, i.comm)
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, self, 0o600)
	}
	if err == nil {
		err = os.Chmod(directory, 0o755)
	}
	if err == nil {
		err = os.Chmod(program, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// impersonate serves until it is killed.
func impersonate(what string) error {
	handler, address, _ := strings.Cut(what, " ")
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	switch handler {
	case "streaming", "streaming-below-cri":
		config := streaming.DefaultConfig
		config.BaseURL = &url.URL{Scheme: "http", Host: ln.Addr().String()}
		if handler == "streaming-below-cri" {
			config.BaseURL.Path = "/cri/" // as cri-dockerd has it in cmd/server.go
		}
		server, err := streaming.NewServer(config, nil)
		if err != nil {
			return err
		}
		return http.Serve(ln, server)
	case "conmon-rs":
		return http.Serve(ln, conmonRS())
	case "metrics":
		mux := http.NewServeMux()
		mux.HandleFunc("/metrics", func(http.ResponseWriter, *http.Request) {})
		return http.Serve(ln, mux)
	}
	return fmt.Errorf("%q is nothing that is served", what)
}

// conmonRS answers as conmon-rs 1.0.1 does when it is asked for a session that
// it does not know, by its source (streaming_server.rs) and that of axum 0.8.
func conmonRS() http.Handler {
	mux := http.NewServeMux()
	for _, verb := range []string{"exec", "attach", "port-forward"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			mux.HandleFunc(method+" /"+verb+"/{token}", func(w http.ResponseWriter, r *http.Request) {
				switch {
				case !strings.EqualFold(r.Header.Get("Connection"), "upgrade"), !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"),
					r.Header.Get("Sec-WebSocket-Version") != "13", r.Header.Get("Sec-WebSocket-Key") == "":
					w.WriteHeader(http.StatusBadRequest)
				case len(r.PathValue("token")) != len("00000000-0000-0000-0000-000000000000"):
					w.WriteHeader(http.StatusBadRequest)
					_, _ = io.WriteString(w, "Invalid URL: UUID parsing failed")
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			})
		}
	}
	return mux
}
