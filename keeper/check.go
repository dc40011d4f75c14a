package keeper

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"exectape/iptables"

	"go.uber.org/zap"
)

// A look is what there was to see of the rules the last time.
type look struct {
	sound    time.Time // when they were last as they should be
	problems []iptables.Problem
	err      error // why they can't be looked at, or written
	repairs  int
	open     time.Duration // for how long they may have been missing, in all
}

// check looks at the rules and puts them right, unless they are another's.
func (k *Keeper) check(ctx context.Context) {
	view, err := k.Tables.Look(ctx, k.rules())
	if err != nil {
		k.failed(ctx, "rules can't be looked at", nil, err)
		return
	}
	younger, ok := k.younger(view.Instances)
	t := k.current()
	switch {
	case ok:
		k.giveWay(ctx, younger, view.Instances)
	case t.role == replaced && k.gone(t.after.Port):
		k.takeBack(ctx)
	case t.role == replaced:
		// Somebody else removed its rules. It puts them back.
	case t.role == behind:
		k.takeBack(ctx) // it failed halfway
	case k.toldOfChange():
		k.follow(ctx)
	case len(view.Problems) == 0:
		k.sound()
	default:
		k.repair(ctx, view.Problems)
	}
}

func (k *Keeper) toldOfChange() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.changed
	k.changed = false
	return told
}

// follow makes the rules those of other targets.
func (k *Keeper) follow(ctx context.Context) {
	if err := k.rewrite(ctx); err != nil {
		k.failed(ctx, "rules can't be changed", nil, err)
		return
	}
	k.sound()
	k.log.Info("rules follow the targets", zap.Stringers("targets", k.rules().Targets))
}

// repair puts back what is missing. For as long as it was, sessions may have
// passed by, whatever the policy.
func (k *Keeper) repair(ctx context.Context, problems []iptables.Problem) {
	if err := k.rewrite(ctx); err != nil {
		k.failed(ctx, "rules can't be repaired", problems, err)
		return
	}
	open := k.repaired()
	k.log.Warn("rules repaired: sessions may have passed unrecorded", zap.Any("problems", problems), zap.Duration("for_at_most", open))
}

// write writes rules, and at once the lease: with them its list may have been
// born anew. If they are gone again by then, by another exectape that starts at
// the same time, the next look says what is to be done.
func (k *Keeper) write(ctx context.Context, rules iptables.Config) error {
	if err := k.apply(ctx, rules); err != nil {
		return err
	}
	err := k.lease.renew(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		k.lookNow()
		return nil
	}
	return err
}

// rewrite writes the rules that were written before. A lease that is not renewed
// is told of, and renewed when it can be.
func (k *Keeper) rewrite(ctx context.Context) error {
	if err := k.apply(ctx, k.rules()); err != nil {
		return err
	}
	_ = k.lease.renew(ctx)
	return nil
}

func (k *Keeper) apply(ctx context.Context, rules iptables.Config) error {
	if err := k.Tables.Apply(ctx, rules); err != nil {
		return err
	}
	k.mu.Lock()
	k.written = rules
	k.mu.Unlock()
	k.Missed() // until then they came by as the rules were before
	return nil
}

func (k *Keeper) repaired() (open time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	open = now.Sub(k.last.sound)
	k.last = look{sound: now, repairs: k.last.repairs + 1, open: k.last.open + open}
	return open
}

func (k *Keeper) sound() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last.sound, k.last.problems, k.last.err = time.Now(), nil, nil
}

// failed notes what keeps the rules from being what they should be. It is tried
// again at every interval, and logged once.
func (k *Keeper) failed(ctx context.Context, message string, problems []iptables.Problem, err error) {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last.err == nil || k.last.err.Error() != err.Error() {
		k.log.Error(message, zap.Any("problems", problems), zap.Error(err))
	}
	k.last.problems, k.last.err = problems, err
}
