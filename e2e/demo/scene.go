package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"exectape/e2e/kubelet"
	"exectape/e2e/local"
	"exectape/e2e/node"
	"exectape/e2e/recorder"
)

// casts is the directory that exectape keeps its casts in, inside that of the
// demo.
const casts = "casts"

// A scene is where the story plays: a runtime, exectape in front of it, and a
// kubelet that this program plays.
type scene struct {
	story
	program recorder.Program
	casts   string

	runtime  kubelet.Runtime
	kubelet  kubelet.Kubelet
	exectape *recorder.Recorder
	recorded []string // the files of the casts, in the order of the sessions
	closers  []func() error
}

// patience is how long the demo, or its end, may take: on a busy machine.
const patience = 5 * time.Minute

// close ends what was started, the last first.
func (s *scene) close() (err error) {
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		err = errors.Join(err, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return err
}

func (s *scene) onClose(f func() error) { s.closers = append(s.closers, f) }

// buildNode starts containerd, a pod, and exectape with its rules.
func (s *scene) buildNode(ctx context.Context) error {
	s.begins("A node")
	s.says(`
		exectape stands between a kubelet and its container runtime. So this demo needs
		a runtime. It starts a real one, in mount, network and process namespaces of its
		own: your machine is not touched, and all of it is gone when the demo ends.`)
	streaming := netip.MustParseAddrPort("127.0.0.1:34567")
	n, err := node.Start(ctx, streaming)
	if err != nil {
		return err
	}
	s.onClose(n.Close)
	s.ran("containerd", []byte(n.Version))
	pod, err := n.RunPod(ctx, "shop")
	if err != nil {
		return err
	}
	s.runtime, err = pod.RunContainer(ctx, "app", kubelet.Process{Command: []string{"cat"}, Stdin: true})
	if err != nil {
		return err
	}
	s.says(`
		It serves exec sessions on %v, and runs a pod, "shop".`, streaming)

	s.begins("exectape")
	s.says(`
		It is told where the runtime serves sessions and keeps its state, and where to
		keep the casts.`)
	if err := s.startExectape(ctx, "EXECTAPE_TARGETS="+streaming.String(), "EXECTAPE_RUNTIME_STATE="+n.State(), "EXECTAPE_DIR="+s.casts); err != nil {
		return err
	}
	s.says(`
		It has set iptables rules. Whoever connects to the runtime is led to exectape,
		which connects to the runtime in turn, records what passes and changes nothing.
		Its own connections are marked, and let through. Neither side knows of it.`)
	inPlace, err := s.exectape.Log.Next(ctx, "rules in place")
	if err != nil {
		return err
	}
	list := []string{"iptables-" + inPlace.Text("iptables"), "-t", "nat", "-S", "EXECTAPE"}
	rules, err := exec.CommandContext(ctx, list[0], list[1:]...).Output()
	if err != nil {
		return fmt.Errorf("%v: %w", list, err)
	}
	s.ran(strings.Join(list, " "), rules)
	return nil
}

// makeDo starts a runtime without containers, and exectape without rules.
func (s *scene) makeDo(ctx context.Context, missing error) error {
	s.begins("No node")
	s.says(`
		exectape stands between a kubelet and its container runtime: it sets iptables
		rules that lead there. Here that can't be shown, because
		%v.

		So this demo makes do. In the runtime's place is Kubernetes' own server for exec
		sessions, which runtimes are built on; it runs processes of this machine. In the
		place of the rules is SOCKS5: who is to be recorded connects through exectape.`, missing)
	server, err := local.Start()
	if err != nil {
		return err
	}
	s.onClose(server.Close)
	s.runtime = server
	s.says(`
		The server listens on %v.`, server.Streaming)

	s.begins("exectape")
	s.says(`
		It is told where the runtime serves sessions, where to keep the casts, to leave
		iptables alone, and where to listen for SOCKS5 (port 0 is any that is free).`)
	err = s.startExectape(ctx, "EXECTAPE_TARGETS="+server.Streaming.String(), "EXECTAPE_DIR="+s.casts,
		"EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN=127.0.0.1:0")
	if err != nil {
		return err
	}
	listening, err := s.exectape.Log.Next(ctx, "listening")
	if err != nil {
		return err
	}
	s.kubelet.Proxy = &url.URL{Scheme: "socks5", Host: listening.Text("addr")}
	s.says(`
		It listens on %s. Who connects through it to the runtime is recorded.
		Any other address it refuses.`, s.kubelet.Proxy.Host)
	return nil
}

func (s *scene) startExectape(ctx context.Context, env ...string) error {
	s.program.Env = env
	running, err := s.program.Start(ctx)
	if err != nil {
		return err
	}
	s.exectape = running
	s.onClose(func() error {
		// Not the context of the demo, which may have been interrupted.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		running.Terminate()
		if err := running.Wait(ctx); err != nil {
			running.Kill()
			return fmt.Errorf("stop exectape: %w\n%s", err, running.Log)
		}
		return nil
	})
	s.ran(strings.Join(append(env, "exectape run"), " \\\n  "), nil)
	return nil
}
