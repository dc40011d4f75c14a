package main

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"go.uber.org/zap"

	"exectape/intercept"
	"exectape/targets"
)

// A targetList is the targets that were configured: none, where they are to be
// found.
type targetList []netip.AddrPort

// UnmarshalText reads addresses, or "auto".
func (l *targetList) UnmarshalText(text []byte) error {
	*l = nil
	if string(text) == "auto" {
		return nil
	}
	for part := range strings.SplitSeq(string(text), ",") {
		target, err := netip.ParseAddrPort(part)
		if err != nil {
			return err
		}
		*l = append(*l, target)
	}
	return nil
}

// newTargets returns the targets as they are now, and who keeps them up to date,
// or nil if they are to stay as they are.
func newTargets(ctx context.Context, cfg config, log *zap.Logger) (*targets.Set, *targets.Finder) {
	if len(cfg.Targets) > 0 {
		return targets.Fixed(cfg.Targets...), nil
	}
	var dialer net.Dialer
	if cfg.Listen != nil {
		dialer.Control = intercept.Marking(cfg.Mark.Value)
	}
	finder := &targets.Finder{Set: new(targets.Set), Dial: dialer.DialContext, Log: log}
	finder.Look(ctx)
	return finder.Set, finder
}

// follow tells redirect of the targets whenever they have changed, until ctx
// ends.
func follow(ctx context.Context, known *targets.Set, changed <-chan struct{}, redirect func([]netip.AddrPort)) {
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		var list []netip.AddrPort
		list, changed = known.Current()
		redirect(list)
	}
}
