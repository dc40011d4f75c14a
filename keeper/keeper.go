package keeper

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"exectape/instance"
	"exectape/iptables"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Config is what a Keeper needs.
type Config struct {
	Tables   *iptables.Tables
	Rules    iptables.Config             // with what Redirect changes of it, and a generation for each time that they are taken over
	Interval time.Duration               // between two looks at the rules
	Probe    func(context.Context) error // whether a session would be served now

	Missed func() // told when sessions may have begun that came by another way, and go on

	At     func(port uint16) instance.State // who is there
	Others []uint16                         // where another exectape may be
}

// A Keeper keeps the rules of one exectape. Start, Run, Leave and Clear are
// called in this order, by one goroutine; Redirect and Status may be called by
// anyone at any time.
type Keeper struct {
	Config
	log     *zap.Logger
	lease   *lease
	wake    chan struct{} // has something in it when the rules are to be looked at now
	leaving bool          // this exectape is to end

	mu      sync.Mutex      // guards Rules and what follows
	changed bool            // the rules are to be others than those that were written
	written iptables.Config // as they were, the last time
	lacking error           // why some targets have no rule
	last    look
	turn    turn
}

// New returns a Keeper of rules that are not there yet.
func New(cfg Config, log *zap.Logger) *Keeper {
	k := &Keeper{Config: cfg, log: log, wake: make(chan struct{}, 1)}
	k.Rules.Live = true
	k.last.err = errors.New("they are not in place yet")
	k.lease = &lease{
		length: cfg.Rules.Lease,
		probe:  cfg.Probe,
		write:  k.renew,
		log:    log,
	}
	return k
}

// startWait is how long the first probe is waited for.
const startWait = 10 * time.Second

// Start puts the rules in place, when sessions can be served and not before.
func (k *Keeper) Start(ctx context.Context) error {
	if err := k.served(ctx); err != nil {
		return err
	}
	if err := k.takeOver(ctx); err != nil {
		return err
	}
	k.sound()
	k.log.Info("rules in place", zap.Stringer("iptables", k.Tables.Backend()),
		zap.Duration("lease", k.lease.length), zap.Uint64("generation", k.rules().Generation))
	return nil
}

// served waits until a probe succeeds.
func (k *Keeper) served(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		err := k.Probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("no rule was set, because no session would be served: %w", err)
		}
	}
}

// Run keeps the rules until ctx ends, and where a younger exectape is about to
// take them over until it has.
func (k *Keeper) Run(ctx context.Context) {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	defer renewing.Wait()
	defer stop()
	// Apart from the rules: those commands may wait for others' for seconds.
	renewing.Go(func() { k.lease.keep(keeping, k.lookNow) })
	next := time.NewTimer(k.Interval)
	defer next.Stop()
	for ctx.Err() == nil {
		select {
		case <-next.C:
		case <-k.wake:
		case <-ctx.Done():
			continue
		}
		before := spent()
		k.check(ctx)
		next.Reset(pause(k.Interval, spent()-before))
	}
	k.handOver(keeping) // also if ctx ended while the rules were looked at
}

// pause is how long the rules are not looked at after a look that cost so much CPU
// time. To print a table of ten thousands of rules takes iptables half a second:
// with a short interval that would be a quarter of a core, and is a twentieth.
func pause(interval, cost time.Duration) time.Duration { return max(interval, 20*cost) }

// spent returns the CPU time of all commands so far: iptables' are the only ones.
func spent() time.Duration {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &usage) // never fails
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Redirect makes the rules lead what connects to targets to exectape, as soon as
// can be. A target that no rule can be made for does not keep the others from
// theirs.
func (k *Keeper) Redirect(targets []netip.AddrPort) {
	led, lacking := k.led(targets)
	k.mu.Lock()
	same := slices.Equal(k.Rules.Targets, led)
	k.Rules.Targets, k.lacking = led, lacking
	k.changed = k.changed || !same
	k.mu.Unlock()
	if lacking != nil {
		k.log.Error("a target has no rule: its sessions are not recorded", zap.Error(lacking))
	}
	if !same {
		k.lookNow()
	}
}

// led returns those of targets that rules can be made for, and why others have
// none.
func (k *Keeper) led(targets []netip.AddrPort) (led []netip.AddrPort, lacking error) {
	for _, target := range targets {
		if err := k.Tables.Leads(target); err != nil {
			lacking = errors.Join(lacking, fmt.Errorf("%s: %w", target, err))
			continue
		}
		led = append(led, target)
	}
	return led, lacking
}

// lookNow has the rules looked at without waiting for the interval's end.
func (k *Keeper) lookNow() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// rules returns what the rules are to be.
func (k *Keeper) rules() iptables.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Rules
}

// onItsWay is how long a connection can still come whose first packet a rule has
// led here: where accept is behind, the kernel takes none, and the client sends
// it again after one second, and after three.
const onItsWay = 5 * time.Second

// renew renews the lease of the rules that are there, whichever are to be.
func (k *Keeper) renew() error {
	k.mu.Lock()
	written := k.written
	k.mu.Unlock()
	return written.Renew()
}

// Leave takes the jump out, so that no new connection comes, once Run has
// returned. Where a younger exectape has the rules it touches none, and returns
// when nothing can be on its way to this one any more. Without a lease it leaves
// the rules alone, too: who wants every session recorded or refused wants it of
// an exectape that is gone.
func (k *Keeper) Leave(ctx context.Context) error {
	t, rules := k.current(), k.rules()
	switch {
	case t.role == replaced:
		select {
		case <-time.After(time.Until(t.since.Add(onItsWay))):
		case <-ctx.Done():
		}
		return nil
	case t.role == newcomer || t.role == behind:
		return nil // where an elder is, it sees us go
	case rules.Lease == 0:
		k.log.Info("rules left in place: until exectape is started again, sessions are refused")
		return nil
	}
	return k.Tables.RemoveJump(ctx, rules.Generation)
}

// Clear takes out the rest when no session needs it any more: the chain, whose
// rules keep connection tracking hooked.
func (k *Keeper) Clear(ctx context.Context) error {
	rules := k.rules()
	if k.current().role != first || rules.Lease == 0 {
		return nil
	}
	return k.Tables.RemoveChain(ctx, rules.Generation)
}
