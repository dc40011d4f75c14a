package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"exectape/instance"
	"exectape/intercept"
)

// entrances are where connections come in.
type entrances struct {
	listeners []listener
	port      uint16          // to which rules can lead; 0: none is open
	claim     *instance.Claim // by which other exectapes know of it
}

// A listener is an open one and the way to serve it.
type listener struct {
	*net.TCPListener
	serve func(*intercept.Server, *net.TCPListener) error
}

// listen opens the listeners that cfg asks for, or none.
func listen(ctx context.Context, cfg config, log *zap.Logger) (in entrances, err error) {
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	if cfg.Listen != nil {
		if err := in.claimPlace(ctx, cfg, log); err != nil {
			return in, fmt.Errorf("open the listener for redirected connections: %w", err)
		}
	}
	if cfg.SOCKS5Listen.IsValid() {
		if err := in.openShared(ctx, cfg.SOCKS5Listen, (*intercept.Server).ServeSOCKS5); err != nil {
			return in, fmt.Errorf("open the SOCKS5 listener: %w", err)
		}
	}
	return in, nil
}

func (in *entrances) open(network string, at netip.AddrPort, serve func(*intercept.Server, *net.TCPListener) error) error {
	ln, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(at))
	if err == nil {
		in.listeners = append(in.listeners, listener{ln, serve})
	}
	return err
}

// openShared opens a listener that another exectape may have, too, so that one
// can follow the other: the kernel gives each some of the connections that come.
// Only our own user can share it with us (SO_REUSEPORT, socket(7)).
func (in *entrances) openShared(ctx context.Context, at netip.AddrPort, serve func(*intercept.Server, *net.TCPListener) error) error {
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var sockErr error
		err := c.Control(func(fd uintptr) {
			sockErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, sockErr)
	}}
	ln, err := shared.Listen(ctx, "tcp", at.String())
	if err == nil {
		in.listeners = append(in.listeners, listener{ln.(*net.TCPListener), serve})
	}
	return err
}

func (in *entrances) close() {
	for _, l := range in.listeners {
		_ = l.Close()
	}
	in.listeners = nil
	in.claim.Close()
	in.claim = nil
}

// serve serves every listener, in goroutines of group. When all are closed the
// port is another's to take.
func (in *entrances) serve(group *errgroup.Group, server *intercept.Server) {
	var open sync.WaitGroup
	for _, l := range in.listeners {
		open.Add(1)
		group.Go(func() error {
			defer open.Done()
			return l.serve(server, l.TCPListener)
		})
	}
	group.Go(func() error {
		open.Wait()
		in.claim.Close()
		return nil
	})
}

// placeWait is how long to wait before all places are tried again.
const placeWait = 100 * time.Millisecond

// claimPlace opens the first place that no other exectape has. It waits while
// they have them all: an exectape that was replaced gives its own up.
func (in *entrances) claimPlace(ctx context.Context, cfg config, log *zap.Logger) error {
	for told := false; ; told = true {
		for _, place := range cfg.Listen {
			taken, err := in.tryPlace(ctx, cfg, place, log)
			if !taken {
				return err
			}
		}
		if !told {
			log.Warn("other exectapes have every place of "+prefix+"LISTEN: waiting for one of them to stop", zap.Stringers("places", cfg.Listen))
		}
		select {
		case <-time.After(placeWait):
		case <-ctx.Done():
			return errors.New("stopped while waiting for another exectape to stop")
		}
	}
}

// tryPlace opens a place, or reports that another exectape has it. A port that
// is held by somebody else is an error, and not passed over: it would be missed
// when the next exectape is to follow this one.
func (in *entrances) tryPlace(ctx context.Context, cfg config, place netip.AddrPort, log *zap.Logger) (taken bool, err error) {
	in.claim, err = instance.Take(place.Port())
	if errors.Is(err, instance.ErrTaken) {
		return true, nil
	}
	if err != nil {
		log.Error("other exectapes will not be told of this one", zap.Error(err))
	}
	for deadline := time.Now().Add(time.Second); ; {
		err = in.openPlace(cfg, place, log)
		if !errors.Is(err, syscall.EADDRINUSE) {
			in.port = place.Port()
			return false, err
		}
		if in.claim == nil {
			return true, nil // perhaps by an exectape that has no name either
		}
		if time.Now().After(deadline) || ctx.Err() != nil { // one that was killed may have had it a moment ago
			return false, fmt.Errorf("%w: by something that is no exectape; end that, or set %sLISTEN to other ports", err, prefix)
		}
		time.Sleep(placeWait)
	}
}

// openPlace opens a place for both families, or none.
func (in *entrances) openPlace(cfg config, place netip.AddrPort, log *zap.Logger) error {
	err := in.open("tcp4", place, (*intercept.Server).Serve)
	if err != nil {
		return err
	}
	err = in.open("tcp6", netip.AddrPortFrom(netip.IPv6Loopback(), place.Port()), (*intercept.Server).Serve)
	switch {
	case noIPv6(err) && !hasIPv6(cfg.Targets):
		log.Info("no IPv6 on this node", zap.Error(err))
	case err != nil:
		_ = in.listeners[0].Close()
		in.listeners = nil
		return err
	}
	return nil
}

func noIPv6(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func hasIPv6(targets []netip.AddrPort) bool {
	for _, t := range targets {
		if t.Addr().Is6() {
			return true
		}
	}
	return false
}
