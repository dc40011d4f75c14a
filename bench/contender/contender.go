// Package contender starts what can stand between a kubelet and a runtime, each
// as a process of its own, of which the kernel tells what it costs.
package contender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Contender is a way from a kubelet to a runtime.
type Contender struct {
	Name    string
	Records bool // and its casts can be checked
	start   func(ctx context.Context, place Place) (*Running, error)
}

// A Place is where a contender runs.
type Place struct {
	Target   netip.AddrPort // the runtime
	Dir      string         // for what it writes, which is empty
	Exectape string         // the program
}

// Running is a contender that runs.
type Running struct {
	*Process        // nil: there is none
	Casts    string // the directory of its casts, if it has one that can be checked

	dial  netip.AddrPort // whom clients connect to
	socks bool           // who is a SOCKS5 server
}

// The contenders. Redirect takes iptables, and so root; what the others take,
// [Contender.Missing] says.
var (
	Direct    = Contender{Name: "direct", start: direct}
	Splice    = Contender{Name: "splice proxy", start: own("splice")}
	Copy      = Contender{Name: "io.Copy proxy", start: own("copy")}
	HAProxy   = Contender{Name: "haproxy", start: haproxy}
	Tailscale = Contender{Name: "Tailscale conn", start: own("tailscale")}
	SOCKS5    = Contender{Name: "exectape, SOCKS5", Records: true, start: socks5}
	Redirect  = Contender{Name: "exectape, REDIRECT", Records: true, start: redirect}

	// Asciinema stands between nobody: what it records runs below it.
	Asciinema = Contender{Name: "asciinema rec", start: func(context.Context, Place) (*Running, error) { return &Running{}, nil }}
)

// Missing returns why a contender can't run on this machine, or nil.
func (c Contender) Missing() error {
	switch c.Name {
	case HAProxy.Name, Asciinema.Name:
		_, err := exec.LookPath(map[string]string{HAProxy.Name: "haproxy", Asciinema.Name: "asciinema"}[c.Name])
		return err
	case Redirect.Name:
		if os.Geteuid() != 0 {
			return errors.New("only root can set rules")
		}
		_, err := exec.LookPath("iptables")
		return err
	}
	return nil
}

// Start starts the contender. It is there when Start returns.
func (c Contender) Start(ctx context.Context, place Place) (*Running, error) {
	r, err := c.start(ctx, place)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return r, nil
}

// Stop stops it.
func (r *Running) Stop() error {
	if r.Process == nil {
		return nil
	}
	return r.Process.Stop()
}

// Dial connects to the target, on this way.
func (r *Running) Dial(target netip.AddrPort) (net.Conn, error) {
	conn, err := net.Dial("tcp", r.dial.String())
	if err != nil || !r.socks {
		return conn, err
	}
	if err := connect(conn, target); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Lead returns the URL, and the proxy if it is not nil, by which a client of
// HTTP gets to u on this way.
func (r *Running) Lead(u *url.URL) (to, proxy *url.URL) {
	if r.socks {
		return u, &url.URL{Scheme: "socks5", Host: r.dial.String()}
	}
	led := *u
	led.Host = r.dial.String()
	return &led, nil
}

func direct(_ context.Context, place Place) (*Running, error) {
	return &Running{dial: place.Target}, nil
}

// Listening is what the bench's own proxies say, with their address behind it.
const Listening = "listening on "

// own starts one of the proxies that this program is itself.
func own(name string) func(context.Context, Place) (*Running, error) {
	return func(ctx context.Context, place Place) (*Running, error) {
		p, line, err := start(ctx, Listening, nil, "/proc/self/exe", "proxy", name, place.Target.String(), place.Dir)
		if err != nil {
			return nil, err
		}
		r := &Running{Process: p}
		r.dial, err = netip.ParseAddrPort(strings.TrimSpace(strings.TrimPrefix(line, Listening)))
		return r, err
	}
}

const haproxyConfig = `global
	nbthread 1
	maxconn 6000
defaults
	mode tcp
	option splice-auto
	timeout connect 10s
	timeout client 1h
	timeout server 1h
listen bench
	bind %v
	server runtime %v
`

func haproxy(ctx context.Context, place Place) (*Running, error) {
	at, err := free()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(place.Dir, "haproxy.cfg")
	if err := os.WriteFile(config, fmt.Appendf(nil, haproxyConfig, at, place.Target), 0o600); err != nil {
		return nil, err
	}
	p, _, err := start(ctx, "", nil, "haproxy", "-db", "-f", config)
	if err != nil {
		return nil, err
	}
	if err := answers(ctx, at); err != nil {
		return nil, errors.Join(err, p.Stop(), fmt.Errorf("it said: %s", p.last))
	}
	return &Running{Process: p, dial: at}, nil
}

// answers waits until something takes connections at an address.
func answers(ctx context.Context, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nobody answers: %w", err)
		}
	}
}

func socks5(ctx context.Context, place Place) (*Running, error) {
	at, err := free()
	if err != nil {
		return nil, err
	}
	r, err := exectape(ctx, place, "EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN="+at.String())
	if err != nil {
		return nil, err
	}
	r.dial, r.socks = at, true
	return r, nil
}

func redirect(ctx context.Context, place Place) (*Running, error) {
	// A machine that is too busy to renew a short lease would lead sessions past it.
	r, err := exectape(ctx, place, "EXECTAPE_LEASE=60s")
	if err != nil {
		return nil, err
	}
	r.dial = place.Target
	return r, nil
}

func exectape(ctx context.Context, place Place, env ...string) (*Running, error) {
	casts := filepath.Join(place.Dir, "casts")
	env = append(env, "EXECTAPE_DIR="+casts, "EXECTAPE_TARGETS="+place.Target.String(),
		// The bench has no containers that a session could be in.
		"EXECTAPE_RUNTIME_STATE="+filepath.Join(place.Dir, "containerd"))
	p, _, err := start(ctx, `"ready"`, env, place.Exectape, "run")
	if err != nil {
		return nil, err
	}
	return &Running{Process: p, Casts: casts}, nil
}

// free returns an address that is free now.
func free() (netip.AddrPort, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	return ln.Addr().(*net.TCPAddr).AddrPort(), ln.Close()
}
