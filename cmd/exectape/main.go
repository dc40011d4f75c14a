// Exectape records what the exec and attach sessions of a Kubernetes node show,
// from between the kubelet and the container runtime, as asciicasts.
//
// Its subcommands are listed by "exectape help", its configuration is in the
// environment. This package is the wiring of the others and decides nothing
// itself.
//
// Exit codes: 0, all went well; 1, it failed; 2, the arguments or the
// configuration are mistaken and nothing was done.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

func main() {
	err := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "exectape:", strings.ReplaceAll(err.Error(), "\n", "\nexectape: "))
	}
	os.Exit(exitCode(err))
}

// A usageError is a mistake of the caller, found before anything was done.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, new(usageError)):
		return 2
	}
	return 1
}

// A command is a subcommand that needs the configuration.
type command struct {
	name, args, doc string

	// lacks says what is missing from the configuration for these arguments.
	lacks func(config, []string) error
	run   func(ctx context.Context, cfg config, args []string, stdout, stderr io.Writer) error
}

var commands = []command{
	{"run", "", "record the sessions of this node until SIGTERM, then drain", needsRun, recordHere},
	{"probe", "", "whether the exectape that runs here is ready, and if not why", nothing, reader(runProbe)},
	{"sessions", "[--json]", "the sessions that go on, recorded or not", nothing, reader(runSessions)},
	{"rules", "print|apply|check|remove", "the iptables rules that lead to exectape", nothing, reader(runRules)},
	{"ls", "[FILTER ...] [--json] [DIR|FILE ...]", "list casts, the live ones too", nothing, reader(runLs)},
	{"cat", "[--stream stdout|stderr|stdin] FILE", "the very bytes that the client got, or sent", nothing, reader(runCat)},
	{"tail", "[--session ID] [DIR] | FILE", "follow live sessions", nothing, reader(runTail)},
	{"play", "[--speed N] [--idle-limit TIME] FILE", "a session as its client saw it, at its pace", nothing, runPlay},
	{"verify", "[--json] [DIR|FILE ...]", "whether casts are what was recorded", nothing, reader(runVerify)},
}

func nothing(config, []string) error { return nil }

func needsRun(cfg config, _ []string) error { return cfg.validateRun() }

// reader adapts a command that writes its result and logs nothing.
func reader(run func(context.Context, config, []string, io.Writer) error) func(context.Context, config, []string, io.Writer, io.Writer) error {
	return func(ctx context.Context, cfg config, args []string, stdout, _ io.Writer) error {
		return run(ctx, cfg, args, stdout)
	}
}

const runHelp = `Usage: exectape run

Records the exec and attach sessions of this node, and logs to standard error.
Its configuration is in the environment: "exectape help" lists it. SIGTERM and
SIGINT make it drain, a second one ends it at once.

Example: record without touching a rule, for whoever comes by SOCKS5.

  EXECTAPE_TARGETS=127.0.0.1:34567 EXECTAPE_IPTABLES=off \
  EXECTAPE_SOCKS5_LISTEN=127.0.0.1:1080 EXECTAPE_DIR=casts exectape run

Exit codes: 0, it was stopped, and all went well; 1, it failed; 2, the arguments
or the configuration are mistaken, and nothing was done.
`

func recordHere(ctx context.Context, cfg config, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	if help, err := parse(flags, args, runHelp, stdout); help || err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("run takes no arguments, its configuration is in the environment; remove %q", flags.Arg(0))}
	}
	log := newLogger(cfg, stderr)
	defer log.Sync() //nolint:errcheck // standard error may well be a terminal, which can't be synced
	return runRun(ctx, cfg, log)
}

// run does what args say. The first SIGTERM or SIGINT ends it in order, a
// second one at once.
func run(args, environ []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return usageError{errors.New(`which command? "exectape help" lists them all`)}
	}
	name, args := args[0], args[1:]
	switch name {
	case "version":
		_, err := fmt.Fprintln(stdout, version())
		return err
	case "help", "-h", "-help", "--help":
		return usage(stdout)
	}
	for _, c := range commands {
		if c.name != name {
			continue
		}
		cfg, err := loadConfig(environ)
		if err := errors.Join(err, c.lacks(cfg, args)); err != nil && !asksForHelp(args) {
			return usageError{err}
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		context.AfterFunc(ctx, stop)
		return c.run(ctx, cfg, args, stdout, stderr)
	}
	return usageError{fmt.Errorf(`no such command: %q; "exectape help" lists them all`, name)}
}

// asksForHelp reports whether args need no configuration, however mistaken it is.
func asksForHelp(args []string) bool {
	return len(args) == 1 && slices.Contains([]string{"-h", "-help", "--help"}, args[0])
}

func usage(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "Usage: exectape COMMAND, and exectape COMMAND -h to have it explained\n\n")
	for _, c := range commands {
		fmt.Fprintf(t, "  %s %s\t%s\n", c.name, c.args, c.doc)
	}
	fmt.Fprint(t, "  version\tprint the version\n  help\tprint this\n\nEnvironment:\n\n")
	for _, v := range variables() {
		preset := ""
		if v.preset != "" {
			preset = " (" + v.preset + ")"
		}
		fmt.Fprintf(t, "  %s%s\t%s%s\n", prefix, v.name, v.doc, preset)
	}
	return t.Flush()
}

// version names this build as far as the toolchain recorded it.
func version() string {
	var b strings.Builder
	b.WriteString("exectape")
	if v := buildVersion(); v != "" {
		b.WriteString(" " + v)
	}
	fmt.Fprintf(&b, " %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return b.String()
}

// buildVersion is that of this build, as far as the toolchain recorded it.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}
