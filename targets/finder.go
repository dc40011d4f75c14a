package targets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// interval is between two looks at what listens. That costs little, and
	// between a runtime's restart on another port and our finding it its sessions
	// pass unrecorded.
	interval = 250 * time.Millisecond

	// kept is for how long a target that vanished stays one, unless somebody else
	// takes its place: a token's life, and that of a runtime which starts again
	// on the same port.
	kept = time.Minute

	// A listener that did not answer as a streaming server does is asked again
	// after firstPause, and then ever more seldom, but at least every lastPause.
	firstPause = interval
	lastPause  = 30 * time.Second

	maxTargets = 1024 // conmon-rs has one for every pod
)

// A Finder finds the streaming servers of this node and keeps a Set of them. It
// sees those in its own network and process namespaces, which are to be the
// node's.
type Finder struct {
	Set *Set

	// Dial connects to a listener to ask it what it is, in a way that no rule of
	// ours leads back to us.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Log *zap.Logger

	listening func() ([]listener, error) // in place of the kernel, for tests
	proc      string                     // in place of /proc, likewise
	last      []listener
	census    *census
	known     map[place]*verdict
	targets   map[netip.AddrPort]time.Time // when each was last there
	told      string                       // the last error that was logged
}

// A place is where a socket can be reached.
type place struct {
	inode uint32
	addr  netip.AddrPort
}

// A verdict is whether a streaming server is there.
type verdict struct {
	owner process
	err   error         // nil: it is
	again time.Time     // when to ask the next time, if it isn't
	pause time.Duration // before that
}

// Run finds targets until ctx ends.
func (f *Finder) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f.Look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Look looks once and brings the Set up to date. It is not called while Run
// runs.
func (f *Finder) Look(ctx context.Context) {
	now := time.Now()
	listeners, err := f.listeners()
	if err == nil && (f.census == nil || len(f.census.errs) > 0 || !slices.Equal(listeners, f.last)) {
		f.census, err = count(f.procfs())
		f.last = listeners
	}
	if err != nil {
		list, _ := f.Set.Current()
		f.tell(list, fmt.Errorf("can't look for the runtimes: %w", err))
		return
	}
	f.judge(ctx, now)
	if ctx.Err() == nil {
		f.update(now)
	}
}

func (f *Finder) listeners() ([]listener, error) {
	if f.listening != nil {
		return f.listening()
	}
	return listening()
}

func (f *Finder) procfs() string {
	if f.proc != "" {
		return f.proc
	}
	return "/proc"
}

// judge asks whatever listens for a runtime whether it is a streaming server,
// unless that is known.
func (f *Finder) judge(ctx context.Context, now time.Time) {
	known := make(map[place]*verdict)
	var asking sync.WaitGroup
	defer asking.Wait()
	asker := asker{f.Dial}
	for _, l := range f.last {
		owner, ok := f.census.sockets[l.inode]
		if !ok || l.uid != 0 {
			continue
		}
		for _, addr := range l.reached() {
			at := place{l.inode, addr}
			v := f.known[at]
			if v == nil {
				v = &verdict{owner: owner, err: errors.New("it was not asked yet")}
			}
			known[at] = v
			if v.err != nil && !now.Before(v.again) {
				asking.Go(func() { v.renew(now, asker.ask(ctx, addr)) })
			}
		}
	}
	f.known = known
}

func (v *verdict) renew(now time.Time, err error) {
	v.err = err
	v.pause = min(max(2*v.pause, firstPause), lastPause)
	v.again = now.Add(v.pause)
}

// update makes the set of what is there now, and of what was until recently.
func (f *Finder) update(now time.Time) {
	if f.targets == nil {
		f.targets = make(map[netip.AddrPort]time.Time)
	}
	for at, v := range f.known {
		if v.err != nil {
			continue
		}
		if _, was := f.targets[at.addr]; !was && len(f.targets) < maxTargets {
			f.Log.Info("target found", zap.Stringer("target", at.addr), zap.Stringer("runtime", v.owner))
			f.targets[at.addr] = now
		} else if was {
			f.targets[at.addr] = now
		}
	}
	var list []netip.AddrPort
	for addr, seen := range f.targets {
		if why := f.gone(addr, now.Sub(seen)); why != "" {
			f.Log.Info("target gone", zap.Stringer("target", addr), zap.String("reason", why))
			delete(f.targets, addr)
			continue
		}
		list = append(list, addr)
	}
	f.tell(list, f.missing(len(list)))
}

// gone returns why addr, which was a target that long ago, is none any more, or
// nothing if it is.
func (f *Finder) gone(addr netip.AddrPort, ago time.Duration) string {
	if ago == 0 {
		return ""
	}
	if ago > kept {
		return "nobody listens there"
	}
	for _, l := range f.last {
		if _, runtime := f.census.sockets[l.inode]; !runtime && l.takes(addr) {
			return "somebody else listens there"
		}
	}
	return ""
}

// missing returns why there may be targets that are not known, of which are n.
func (f *Finder) missing(n int) error {
	c := f.census
	switch {
	case len(c.errs) > 0:
		return errors.Join(c.errs...)
	case n == maxTargets:
		return fmt.Errorf("there are %d, which is the most that are intercepted", n)
	case n > 0:
		return nil
	case len(c.found) == 0:
		return fmt.Errorf("no runtime is among the %d processes that can be seen, by the name of %v and run by root: a pod sees the node's with hostPID: true", c.seen, runtimes)
	case len(f.known) == 0:
		return fmt.Errorf("%v listens nowhere in this network: a pod is in the node's with hostNetwork: true", c.found[0])
	}
	var errs []error
	for at, v := range f.known {
		errs = append(errs, fmt.Errorf("%v of %v is no streaming server: %w", at.addr, v.owner, v.err))
	}
	slices.SortFunc(errs, func(a, b error) int { return slices.Compare([]byte(a.Error()), []byte(b.Error())) })
	return errors.Join(errs...)
}

// tell tells the set, and once the log of an error.
func (f *Finder) tell(list []netip.AddrPort, err error) {
	f.Set.become(list, err)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != f.told {
		f.Log.Warn("targets may be missing", zap.Error(err))
	}
	f.told = text
}
