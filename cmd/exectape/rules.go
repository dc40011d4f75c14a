package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"

	"go.uber.org/zap"

	"exectape/iptables"
	"exectape/session"
)

const rulesHelp = `Usage: exectape rules print|apply|check|remove

  print   show what apply gives to iptables-restore where no rule is yet; it
          changes nothing, and needs root only to find targets
  apply   make the rules what the environment says; once is as good as twice.
          With EXECTAPE_FAIL_POLICY=open they lead nowhere until a running
          exectape says so; with closed, sessions are refused until there is one
  check   list what apply would put right; exit code 1 if there is anything
  remove  delete every line of exectape's, and no other; redirected sessions
          that are still open can be cut by it, and an exectape that runs puts
          the rules back

Example: lead what connects to 127.0.0.1:34567 to a listener on 127.0.0.1:1015.

  EXECTAPE_TARGETS=127.0.0.1:34567 EXECTAPE_LISTEN=127.0.0.1:1015 \
  exectape rules apply
  iptables -t nat -S EXECTAPE

Exit codes: 0, the rules are as they were asked for; 1, they are not; 2, the
arguments or the configuration are mistaken.
`

// runRules does what "exectape rules" was asked for.
func runRules(ctx context.Context, cfg config, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("rules", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := fmt.Fprint(stdout, rulesHelp)
		return err
	case err != nil:
		return usageError{fmt.Errorf(`rules: %w; "exectape rules -h" explains`, err)}
	case flags.NArg() != 1:
		return usageError{errors.New("rules takes one word: print, apply, check or remove")}
	case cfg.IPTables == iptables.Off:
		return usageError{mistake{"IPTABLES", cfg.IPTables.String(), "then there are no rules; set auto, nft or legacy"}}
	}
	switch verb := flags.Arg(0); verb {
	case "print":
		return withRedirect(ctx, cfg, func(rules iptables.Config) error { return rulesPrint(rules, stdout) })
	case "apply":
		return withRedirect(ctx, cfg, func(rules iptables.Config) error { return rulesApply(ctx, cfg, rules) })
	case "check":
		return withRedirect(ctx, cfg, func(rules iptables.Config) error { return rulesCheck(ctx, cfg, rules, stdout) })
	case "remove":
		return rulesRemove(ctx, cfg)
	default:
		return usageError{fmt.Errorf("rules can't %q; write print, apply, check or remove", verb)}
	}
}

// withRedirect calls do with the rules that lead from the targets of now to the
// exectape that cfg describes.
func withRedirect(ctx context.Context, cfg config, do func(iptables.Config) error) error {
	known, _ := newTargets(ctx, cfg, zap.NewNop())
	list, _ := known.Current()
	if len(list) == 0 {
		return fmt.Errorf("no target was found: %w; %sTARGETS can name them, as in 127.0.0.1:34567", known.Err(), prefix)
	}
	return do(redirect(cfg, cfg.Listen[0].Port(), list))
}

// redirect says which rules lead from targets to the exectape that cfg
// describes, at a port. With closed they hold whether it is there or not.
func redirect(cfg config, port uint16, targets []netip.AddrPort) iptables.Config {
	rules := iptables.Config{Targets: targets, Port: port, Mark: cfg.Mark}
	if cfg.FailPolicy == session.FailOpen {
		rules.Lease = cfg.Lease
	}
	return rules
}

// byHand makes the rules that an operator asks for those of the exectape that
// has them now, if one has: it would take others for a stranger's.
func byHand(ctx context.Context, tables *iptables.Tables, rules iptables.Config) (iptables.Config, error) {
	view, err := tables.Look(ctx, rules)
	if err == nil && len(view.Instances) > 0 {
		rules.Port, rules.Generation = view.Instances[0].Port, view.Instances[0].Generation
	}
	return rules, err
}

func rulesPrint(cfg iptables.Config, stdout io.Writer) error {
	for _, f := range []struct {
		family  iptables.Family
		restore string
	}{
		{iptables.IPv4, "iptables-restore --noflush"},
		{iptables.IPv6, "ip6tables-restore --noflush"},
	} {
		rules := iptables.Render(cfg, f.family)
		if rules == "" {
			rules = "# no rules: no target is of this family\n"
		}
		if _, err := fmt.Fprintf(stdout, "# %s, for %s\n%s", f.family, f.restore, rules); err != nil {
			return err
		}
	}
	return nil
}

func rulesApply(ctx context.Context, cfg config, rules iptables.Config) error {
	tables, err := iptables.New(ctx, cfg.IPTables)
	if err != nil {
		return err
	}
	if rules, err = byHand(ctx, tables, rules); err != nil {
		return err
	}
	return tables.Apply(ctx, rules)
}

func rulesCheck(ctx context.Context, cfg config, rules iptables.Config, stdout io.Writer) error {
	tables, err := iptables.New(ctx, cfg.IPTables)
	if err != nil {
		return err
	}
	rules, err = byHand(ctx, tables, rules)
	if err != nil {
		return err
	}
	view, err := tables.Look(ctx, rules)
	if err != nil {
		return err
	}
	for _, p := range view.Problems {
		fmt.Fprintln(stdout, p)
	}
	if len(view.Problems) > 0 {
		return errors.New(`the rules are not what they should be; "exectape rules apply" puts them right`)
	}
	_, err = fmt.Fprintf(stdout, "the rules are what they should be (%s)\n", tables.Backend())
	return err
}

func rulesRemove(ctx context.Context, cfg config) error {
	tables, err := iptables.New(ctx, cfg.IPTables)
	if err != nil {
		return err
	}
	return errors.Join(tables.RemoveJump(ctx, iptables.AnyGeneration), tables.RemoveChain(ctx, iptables.AnyGeneration))
}
