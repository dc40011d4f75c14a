package iptables

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Tables are the tables nat of this network namespace, as far as there can be
// lines of ours in them. Its methods may be called by several goroutines, but
// two that change the tables must not run at once.
type Tables struct {
	backend  Backend    // where our rules belong
	commands []commands // of backend, and with Auto of the other one, where none belong
	noIPv6   error      // why there are no commands of IPv6, if there are none
}

// New returns the tables of backend. With [Auto] that is the one that the
// node's kubelet uses, and what an earlier run may have left in the other one
// is removed, and complained of, too.
func New(ctx context.Context, backend Backend) (*Tables, error) {
	t, err := open(ctx, backend)
	if err != nil {
		return nil, fmt.Errorf("iptables: %w", err)
	}
	return t, nil
}

func open(ctx context.Context, backend Backend) (*Tables, error) {
	t := &Tables{backend: backend}
	var err error
	switch backend {
	case Off:
		return nil, errors.New("the backend is off; choose auto, nft or legacy")
	case Auto:
		t.backend, t.commands, err = detect(ctx)
	default:
		t.commands, err = backend.commands()
	}
	if err != nil {
		return nil, err
	}
	_, t.noIPv6 = lookup(t.backend, IPv6)
	return t, nil
}

// Backend returns the backend that the rules are written to, never Auto.
func (t *Tables) Backend() Backend { return t.backend }

// Apply makes the rules what cfg says. It writes nothing where they are so
// already. After an error the rules of one family may be there: RemoveJump
// takes them out of effect. With a lease they take effect by [Config.Renew].
func (t *Tables) Apply(ctx context.Context, cfg Config) error {
	if err := t.able(cfg); err != nil {
		return err
	}
	err := t.change(ctx, func(c commands, nat table) ([]string, error) {
		rules := t.rules(c, nat, cfg)
		switch {
		case len(rules) == 0 && t.stays(c, cfg):
			return nat.unjump(), nil
		case len(rules) == 0:
			return nat.clear()
		}
		return nat.put(rules, cfg.jump().String()), nil
	})
	return cfg.noLeases(err)
}

// RemoveJump takes our jumps out of OUTPUT: no new connection is led to
// exectape. Those that were still pass, as long as the chain is there. Where an
// instance younger than generation has rules, it does nothing. One that comes
// meanwhile has words of its own on its jump, so that the change would fail.
func (t *Tables) RemoveJump(ctx context.Context, generation uint64) error {
	return t.change(ctx, func(_ commands, nat table) ([]string, error) {
		if nat.newer(generation) {
			return nil, nil
		}
		return nat.unjump(), nil
	})
}

// RemoveChain deletes our chain, and the jump to it if that is still there,
// unless an instance younger than generation has rules. Where no other rule
// needs connection tracking, a redirected connection that is still open is cut
// by that.
func (t *Tables) RemoveChain(ctx context.Context, generation uint64) error {
	return t.change(ctx, func(_ commands, nat table) ([]string, error) {
		if nat.newer(generation) {
			return nil, nil
		}
		return nat.clear()
	})
}

// A plan returns the lines that change table nat of c as is wanted.
type plan func(c commands, nat table) ([]string, error)

// change carries out plan in each table. One that can't be changed does not
// keep it from the others.
func (t *Tables) change(ctx context.Context, plan plan) error {
	var errs []error
	for _, c := range t.commands {
		if err := c.change(ctx, plan); err != nil {
			errs = append(errs, fmt.Errorf("iptables: %s (%s): %w", c.family, c.backend, err))
		}
	}
	return errors.Join(errs...)
}

func (c commands) change(ctx context.Context, plan plan) error {
	nat, err := c.read(ctx, "nat")
	if err != nil {
		return err
	}
	lines, err := plan(c, nat)
	if err != nil {
		return err
	}
	return c.write(ctx, lines)
}

// A Problem is one thing that Apply would put right, in words.
type Problem string

// A View is what there was of ours in the tables at one moment.
type View struct {
	Problems  []Problem  // where that was not what it should be
	Instances []Instance // whose rules took effect, the youngest first
}

// Look compares what is there with what cfg says should be.
func (t *Tables) Look(ctx context.Context, cfg Config) (View, error) {
	var view View
	if err := t.able(cfg); err != nil {
		return view, err
	}
	for _, c := range t.commands {
		nat, wrong, err := t.look(ctx, c, cfg)
		if err != nil {
			return view, fmt.Errorf("iptables: %s (%s): %w", c.family, c.backend, err)
		}
		for _, words := range wrong {
			view.Problems = append(view.Problems, Problem(fmt.Sprintf("%s (%s): %s", c.family, c.backend, words)))
		}
		view.Instances = append(view.Instances, nat.leading()...)
	}
	youngestFirst(view.Instances)
	view.Instances = slices.Compact(view.Instances)
	return view, nil
}

// look returns table nat of c and what Apply would change in it. Mostly that is
// nothing, which a glance tells. Two chains that are read one after the other
// may be from before a change and from after it: so whatever else it tells is
// looked at again, in one piece. So is all that is not kept by a running
// exectape, of which a chain may be left that nothing leads to.
func (t *Tables) look(ctx context.Context, c commands, cfg Config) (nat table, wrong []string, err error) {
	if cfg.Live && c.backend == NFT && t.backend == NFT {
		if nat, err = c.glance(ctx); err == nil && len(t.wrong(c, nat, cfg)) == 0 {
			return nat, nil, nil
		}
	}
	if nat, err = c.read(ctx, "nat"); err != nil {
		return nil, nil, err
	}
	return nat, t.wrong(c, nat, cfg), nil
}

// wrong returns in words what Apply would change in nat.
func (t *Tables) wrong(c commands, nat table, cfg Config) []string {
	rules := t.rules(c, nat, cfg)
	switch {
	case len(rules) > 0:
		return nat.check(rules, cfg.jump().String())
	case t.stays(c, cfg):
		return nat.jumpsLeft()
	}
	return nat.leftovers()
}

// stays reports whether a chain without rules may stay where it is.
func (t *Tables) stays(c commands, cfg Config) bool { return cfg.Live && c.backend == t.backend }

// rules returns what belongs in our chain of c, where nat has what is there now.
func (t *Tables) rules(c commands, nat table, cfg Config) []string {
	elders := nat.of(cfg.Behind)
	if c.backend != t.backend {
		return elders
	}
	ours := texts(cfg.Rules(c.family))
	if len(ours) == 0 || len(elders) == 0 {
		return append(elders, ours...)
	}
	return slices.Concat(ours[:1], elders, ours[1:]) // what is ours passes them, too
}

// able reports what keeps the rules of cfg from being made. Without a port
// REDIRECT leaves a connection's own, and every packet has the mark 0.
func (t *Tables) able(cfg Config) error {
	switch {
	case cfg.Port == 0:
		return errors.New("iptables: no port to redirect to")
	case cfg.Mark.Value == 0:
		return errors.New("iptables: no mark to let exectape's own connections through by")
	case cfg.Lease < 0 || cfg.Lease%time.Second != 0:
		return fmt.Errorf("iptables: a lease of %s: the kernel counts whole seconds", cfg.Lease)
	}
	for _, target := range cfg.Targets {
		if err := t.Leads(target); err != nil {
			return err
		}
	}
	return nil
}

// Leads returns why no rule can lead connections to target here, if none can.
func (t *Tables) Leads(target netip.AddrPort) error {
	if t.noIPv6 != nil && IPv6.includes(target) {
		return fmt.Errorf("iptables: connections to targets of IPv6 can't be redirected: %w", t.noIPv6)
	}
	return nil
}
