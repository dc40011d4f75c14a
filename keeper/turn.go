package keeper

import (
	"context"
	"slices"
	"time"

	"exectape/instance"
	"exectape/iptables"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A turn is whose the rules are.
type turn struct {
	role  role
	since time.Time
	after iptables.Instance // who has them after us, if we were replaced
}

// A role is this exectape's among those of its network namespace.
type role int

const (
	newcomer role = iota // it has no rules yet
	behind               // its rules come after an elder's
	first                // the rules are its own
	replaced             // a younger one has them
)

func (k *Keeper) current() turn {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.turn
}

func (k *Keeper) become(r role, after iptables.Instance) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.turn = turn{r, time.Now(), after}
}

// takeOver makes the rules ours, in three steps where an elder is there whose
// place we take.
func (k *Keeper) takeOver(ctx context.Context) error {
	view, err := k.Tables.Look(ctx, k.rules())
	if err != nil {
		return err
	}
	rules := k.nextGeneration(view.Instances)
	k.lease.resume()
	if rules.Behind = k.alive(view.Instances); len(rules.Behind) == 0 {
		k.become(first, iptables.Instance{}) // what is there after an error is ours to remove
		return k.write(ctx, rules)
	}
	k.become(behind, iptables.Instance{}) // what is there after an error is the elder's to put right
	if err := k.write(ctx, rules); err != nil {
		return err
	}
	rules.Behind = nil
	if err := k.write(ctx, rules); err != nil {
		return err
	}
	k.become(first, iptables.Instance{})
	return nil
}

// nextGeneration makes us the youngest of all that have rules. Generations are
// milliseconds since the machine was started, or more.
func (k *Keeper) nextGeneration(all []iptables.Instance) iptables.Config {
	var boot unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) // never fails
	next := uint64(time.Duration(boot.Nano()) / time.Millisecond)
	if len(all) > 0 {
		next = max(next, all[0].Generation+1)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Rules.Generation = next
	return k.Rules
}

// alive returns those of other instances that are there.
func (k *Keeper) alive(all []iptables.Instance) (alive []iptables.Instance) {
	us := k.rules().Port
	for _, i := range all {
		if i.Port != us && k.At(i.Port) != instance.Nobody {
			alive = append(alive, i)
		}
	}
	return alive
}

// younger returns the youngest instance that has rules, and whether that is
// another than we.
func (k *Keeper) younger(all []iptables.Instance) (youngest iptables.Instance, ok bool) {
	if len(all) == 0 {
		return youngest, false
	}
	us := k.rules().Instance()
	youngest = all[0]
	return youngest, youngest.Generation > us.Generation || youngest.Generation == us.Generation && youngest.Port > us.Port
}

// giveWay is what becomes of us where a younger one has rules.
func (k *Keeper) giveWay(ctx context.Context, younger iptables.Instance, all []iptables.Instance) {
	switch {
	case k.gone(younger.Port):
		k.takeBack(ctx)
	case slices.Contains(all, k.rules().Instance()):
		k.sound() // ours come first still: it has not proved itself
	case k.current().role != replaced || k.current().after != younger:
		k.become(replaced, younger)
		k.Missed() // the younger's
		k.lease.rest()
		k.log.Info("replaced by a younger exectape: what is going on here goes on", zap.Uint16("port", younger.Port), zap.Uint64("generation", younger.Generation))
	}
}

// gone reports whether an exectape has ended, or is about to. If we are about to
// as well, its rules are as good as ours.
func (k *Keeper) gone(port uint16) bool {
	state := k.At(port)
	return state == instance.Nobody || state == instance.Leaving && !k.leaving
}

// takeBack makes the rules ours again.
func (k *Keeper) takeBack(ctx context.Context) {
	if err := k.takeOver(ctx); err != nil {
		k.failed(ctx, "rules can't be taken back", nil, err)
		return
	}
	k.sound()
	k.log.Warn("rules taken back: the younger exectape has gone, or is about to", zap.Uint64("generation", k.rules().Generation))
}

// handOverWait is how long, beyond the interval at which it looks, another
// exectape may take to take over.
const handOverWait = 10 * time.Second

// handOver lets another exectape that is there take the rules over before we
// leave. It asks for nothing: who is there sees that we leave.
func (k *Keeper) handOver(ctx context.Context) {
	k.leaving = true
	ctx, cancel := context.WithTimeout(ctx, k.Interval+handOverWait)
	defer cancel()
	for {
		k.check(ctx)
		if k.current().role == replaced || !k.successor() {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			k.log.Warn("another exectape is there, and does not take the rules over")
			return
		}
	}
}

// successor reports whether another exectape is there that stays.
func (k *Keeper) successor() bool {
	return slices.ContainsFunc(k.Others, func(port uint16) bool { return k.At(port) == instance.Staying })
}
