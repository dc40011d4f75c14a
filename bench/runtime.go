package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"exectape/bench/hand"
	"exectape/bench/kube"
)

// runRuntime is the process that plays the runtime: its streaming server, and
// beside that one for the bench, which hands out what a CRI would.
func runRuntime() error {
	streaming, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server, err := kube.NewServer(streaming.Addr().String())
	if err != nil {
		return err
	}
	paths := http.NewServeMux()
	paths.Handle("/exec/hand", hand.NewServer())
	paths.Handle("/", server)
	serving := make(chan error, 2)
	go func() { serving <- http.Serve(streaming, paths) }()
	go func() { serving <- http.Serve(control, tokens(server)) }()
	fmt.Printf("%v %v\n", streaming.Addr(), control.Addr())
	return <-serving
}

// tokens answers with n URLs for a command.
func tokens(s *kube.Server) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n")) // 0: none
		all := []string{}
		for range n {
			u, err := s.Exec(r.FormValue("command"))
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			all = append(all, u)
		}
		_ = json.NewEncoder(w).Encode(all)
	}
}

// A playedRuntime is that process, as the others see it.
type playedRuntime struct {
	Streaming netip.AddrPort
	control   netip.AddrPort
	cmd       *exec.Cmd
}

func startRuntime() (*playedRuntime, error) {
	r := &playedRuntime{cmd: exec.Command("/proc/self/exe", "runtime")}
	r.cmd.Stderr = os.Stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		r.stop()
		return nil, fmt.Errorf("the runtime: %w", err)
	}
	streaming, control, _ := strings.Cut(strings.TrimSpace(line), " ")
	var errs [2]error
	r.Streaming, errs[0] = netip.ParseAddrPort(streaming)
	r.control, errs[1] = netip.ParseAddrPort(control)
	return r, errors.Join(errs[:]...)
}

func (r *playedRuntime) stop() {
	_ = r.cmd.Process.Kill() // it may have ended
	_ = r.cmd.Wait()         // which says that it was killed
}

// exec returns n URLs at which command is run, each once, within a minute.
func (r *playedRuntime) exec(ctx context.Context, command string, n int) (all []*url.URL, err error) {
	u := fmt.Sprintf("http://%v/?command=%s&n=%d", r.control, url.QueryEscape(command), n)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var texts []string
	if err := json.NewDecoder(response.Body).Decode(&texts); err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}
