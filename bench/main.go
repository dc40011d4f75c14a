// Command bench measures what exectape costs, beside what people would run
// instead. Each contender is a process of its own between a driver, which plays
// the kubelet, and a server, which plays the runtime; what a contender costs is
// asked of the kernel.
//
// As root it works in a network of its own, in which it may set rules; without
// root, exectape is reached over SOCKS5 only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"exectape/bench/contender"
	"exectape/bench/proxy"
	"exectape/e2e/node"
	"exectape/e2e/recorder"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	switch {
	case len(args) > 0 && args[0] == "runtime":
		return 0, runRuntime()
	case len(args) == 4 && args[0] == "proxy":
		target, err := netip.ParseAddrPort(args[2])
		if err != nil {
			return 0, err
		}
		return 0, proxy.Run(args[1], target, args[3])
	case os.Geteuid() == 0 && !node.Inside():
		return node.Enter()
	}
	return 0, drive(args)
}

// drive is the driver.
func drive(args []string) error {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	isQuick := flags.Bool("quick", false, "measure only what the table needs, in two minutes")
	cells := flags.String("cells", "", "write each cell as a line of JSON to this `file`")
	only := flags.String("only", "", "only loads whose name matches this `expression`")
	rounds := flags.Int("rounds", 0, "how often each is measured, if not as often as planned")
	source := flags.String("source", "..", "where exectape's sources are")
	program := flags.String("exectape", "", "a `program` that was built already")
	dir := flags.String("dir", os.TempDir(), "where casts are written: on a disk, not in memory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	matching, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(*dir, "exectape-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	b := bench{dir: scratch, exectape: *program}
	if *program == "" {
		// As it is shipped: see the Makefile.
		if err := os.Setenv("CGO_ENABLED", "0"); err != nil {
			return err
		}
		if b.exectape, err = recorder.Build(context.Background(), *source, scratch, "-trimpath"); err != nil {
			return err
		}
	}
	if b.report, err = reporter(*cells); err != nil {
		return err
	}
	track()
	if b.runtime, err = startRuntime(); err != nil {
		return err
	}
	defer b.runtime.stop()

	ours := []contender.Contender{contender.Redirect, contender.SOCKS5}
	if err := contender.Redirect.Missing(); err != nil {
		fmt.Fprintln(os.Stderr, "without a redirection:", err)
		ours = ours[1:]
	}
	p := full(ours)
	if *isQuick {
		ours = ours[:1]
		p = quick(ours)
	}
	if *rounds > 0 {
		p.rounds = *rounds
	}
	p.keep(matching)
	start := time.Now()
	all, err := b.run(p)
	if err != nil {
		return err
	}
	if matching.MatchString("escape") {
		escaped, err := escape(*source, p.rounds, ours)
		if err != nil {
			return err
		}
		for _, c := range escaped {
			b.report(c)
		}
		all = append(all, escaped...)
	}
	return errors.Join(printAll(all, ours), wrong(all), printTook(start))
}

func printTook(start time.Time) error {
	_, err := fmt.Printf("\ntook %v\n", time.Since(start).Round(time.Second))
	return err
}

// keep keeps the loads whose names match, and the contenders that can run here.
func (p *plan) keep(matching *regexp.Regexp) {
	var kept []planned
	for _, l := range p.loads {
		var on []contender.Contender
		for _, c := range l.on {
			if c.Missing() == nil {
				on = append(on, c)
			}
		}
		if l.on = on; matching.MatchString(l.name) {
			kept = append(kept, l)
		}
	}
	p.loads = kept
}

// printAll prints what was measured.
func printAll(all []Cell, ours []contender.Contender) error {
	fmt.Println()
	if err := printFigures(os.Stdout, all); err != nil {
		return err
	}
	for _, us := range ours {
		fmt.Println()
		if err := printTable(os.Stdout, all, us.Name); err != nil {
			return err
		}
	}
	return nil
}

// reporter tells of each cell as it is done.
func reporter(path string) (func(Cell), error) {
	file := os.Stderr
	if path != "" {
		var err error
		if file, err = os.Create(filepath.Clean(path)); err != nil {
			return nil, err
		}
	}
	return func(c Cell) {
		if err := c.print(file); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		if c.Error != "" {
			fmt.Fprintf(os.Stderr, "bench: %s, %s: %s\n", c.Load, c.Contender, c.Error)
		}
	}, nil
}

// wrong returns an error if a load failed, or a cast was not exact.
func wrong(all []Cell) error {
	n := 0
	for _, c := range all {
		if c.Error != "" {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %d cells went wrong", n, len(all))
	}
	return nil
}

// track has the kernel track connections, as on every node: kube-proxy's rules
// are always there. So those of exectape's are not the only ones to pay for it.
func track() {
	if !node.Inside() {
		return
	}
	_ = exec.Command("iptables", "-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.1", "-j", "RETURN").Run() // for comparability only
	// Short sessions by the thousand would fill the table for two minutes.
	_ = os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait", []byte("1"), 0)
}
