package main

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"exectape/identify"
	"exectape/instance"
	"exectape/intercept"
	"exectape/iptables"
	"exectape/keeper"
	"exectape/peer"
	"exectape/session"
	"exectape/sink"
	"exectape/spdy"
	"exectape/targets"
	"exectape/websocket"
)

// protocols are what a session can be upgraded to, by the Upgrade header of
// the 101. Whatever is not among them is kept raw.
var protocols = map[string]intercept.Protocol{
	"spdy/3.1": {
		Name:              "spdy",
		SubprotocolHeader: "X-Stream-Protocol-Version",
		NewDecoder:        func(subprotocol string) session.Decoder { return spdy.New(subprotocol) },
	},
	"websocket": {
		Name: "websocket",
		// In a response: in a request it may carry a bearer token.
		SubprotocolHeader: "Sec-WebSocket-Protocol",
		NewDecoder:        websocket.New,
	},
}

// runRun records until ctx ends, then drains. The order matters: no rule leads
// to exectape before it can serve, and none does when it stops serving.
func runRun(ctx context.Context, cfg config, log *zap.Logger) error {
	dir, err := openDir(cfg, log)
	if err != nil {
		return err
	}
	warnOfDescriptors(cfg, log)
	known, finder := newTargets(ctx, cfg, log)
	server := newServer(cfg, known, dir, log)
	uploader := newUploader(cfg, dir, log)
	tables, err := openTables(ctx, cfg)
	if err != nil {
		return err
	}
	in, err := listen(ctx, cfg, log)
	if err != nil {
		return err
	}
	list, changed := known.Current()
	resolver := identify.New(cfg.RuntimeState, os.TempDir(), cfg.IdentifyWait, log)
	resolver.Doubt() // what began before us is not ours
	server.Trace = resolver.Trace
	peers := peer.New("/proc")
	server.Peer = peers.Find
	rules := newKeeper(cfg, tables, in.port, list, server, resolver, log)
	answers := newAdmin(cfg, node{server, known, dir, uploader, rules, resolver}, log)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Its context ends when ctx does or when a listener fails.
	serving, ctx := errgroup.WithContext(ctx)
	in.serve(serving, server)
	// Another instance may take over from now on.
	defer context.AfterFunc(ctx, in.claim.Leave)()
	// No session waits for what an earlier run has left: it can be long.
	serving.Go(func() error { finishLeftovers(ctx, dir, log); return nil })
	// What the last sessions leave is still to be sent.
	keeping, endKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer endKeeping()
	serving.Go(func() error { keepHouse(keeping, dir, uploader, log); return nil })
	serving.Go(func() error { dir.KeepRoom(keeping); return nil })
	serving.Go(func() error { resolver.Run(keeping); return nil })
	serving.Go(func() error { peers.Run(keeping); return nil })
	serving.Go(func() error { server.Tidy(keeping); return nil })
	if finder != nil {
		serving.Go(func() error { finder.Run(ctx); return nil })
	}
	if rules != nil {
		serving.Go(func() error { follow(ctx, known, changed, rules.Redirect); return nil })
	}
	// Who drains no longer answers for the host, but does for itself.
	serving.Go(func() error { answers.ServeTCP(ctx, cfg.AdminListen.String()); return nil })
	serving.Go(func() error { answers.ServeUnix(keeping, cfg.Socket); return nil })
	err = serveUntil(ctx, known, rules, log)
	stop() // or it could not begin
	err = errors.Join(err, drain(cfg, server, rules, log))
	endKeeping()
	return errors.Join(err, waitAtMost(serving, houseTime+cfg.SinkTimeout), dir.Close())
}

// houseTime is how long keepHouse may take to end.
const houseTime = 10 * time.Second

// waitAtMost waits for a group, but not for what hangs with the disk.
func waitAtMost(group *errgroup.Group, most time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- group.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(most):
		return errors.New("stop: something hangs, which may be the disk; the next start goes on with it")
	}
}

func openDir(cfg config, log *zap.Logger) (*sink.Dir, error) {
	return sink.OpenDir(cfg.Dir, sink.Options{
		Version:    cfg.CastVersion,
		Stdin:      cfg.RecordStdin,
		SessionMax: int64(cfg.SessionMax),
		Room: sink.Room{
			MaxBytes: int64(cfg.DirMaxBytes),
			MaxAge:   cfg.DirMaxAge,
			MinFree:  int64(cfg.DirMinFree),
			Spooled:  cfg.HTTPURL != url.URL{},
		},
		Policy:        cfg.FailPolicy,
		Durability:    cfg.Durability,
		FlushInterval: cfg.FlushInterval,
		Timeout:       cfg.SinkTimeout,
	}, log)
}

// finishLeftovers gives up when ctx ends; the next run goes on with it.
func finishLeftovers(ctx context.Context, dir *sink.Dir, log *zap.Logger) {
	if err := dir.Recover(ctx); err != nil && ctx.Err() == nil {
		log.Error("casts left behind not recovered", zap.Error(err))
	}
}

// serveUntil leads the sessions here, and keeps the rules that do until ctx ends.
// It begins when there is a target: until then an elder's rules are better than
// none.
func serveUntil(ctx context.Context, known *targets.Set, rules *keeper.Keeper, log *zap.Logger) error {
	list := known.Await(ctx)
	if list == nil {
		return nil
	}
	if rules != nil {
		rules.Redirect(list)
		if err := rules.Start(ctx); err != nil {
			return err
		}
	}
	log.Info("ready", zap.Stringers("targets", list))
	if rules != nil {
		rules.Run(ctx)
	}
	<-ctx.Done()
	return nil
}

// openTables returns the tables that the rules are in, or nil if there are to be
// no rules.
func openTables(ctx context.Context, cfg config) (*iptables.Tables, error) {
	if cfg.IPTables == iptables.Off {
		return nil, nil
	}
	return iptables.New(ctx, cfg.IPTables)
}

// newKeeper returns who keeps the rules that lead to port, or nil if there are
// to be none.
func newKeeper(cfg config, tables *iptables.Tables, port uint16, list []netip.AddrPort, server *intercept.Server, resolver *identify.Resolver, log *zap.Logger) *keeper.Keeper {
	if tables == nil {
		return nil
	}
	var others []uint16
	for _, at := range cfg.Listen {
		if at.Port() != port {
			others = append(others, at.Port())
		}
	}
	return keeper.New(keeper.Config{
		Tables:   tables,
		Rules:    redirect(cfg, port, list),
		Interval: cfg.CheckInterval,
		Probe:    server.Probe,
		Missed:   resolver.Doubt,
		At:       func(port uint16) instance.State { return at(port, log) },
		Others:   others,
	}, log)
}

// at asks who has a port.
func at(port uint16, log *zap.Logger) instance.State {
	state, err := instance.At(port)
	if err != nil {
		log.Error("another exectape can't be asked whether it is there", zap.Stringer("so_far", state), zap.Error(err))
	}
	return state
}

// opening begins a session's cast, and keeps from it what is not to be recorded.
func opening(cfg config, dir *sink.Dir) func(session.Info) (session.Recorder, error) {
	content := []session.Kind{session.Output, session.Raw}
	if cfg.RecordStdin == sink.StdinFull {
		content = append(content, session.Input)
	}
	return func(info session.Info) (session.Recorder, error) {
		recorder, err := dir.Open(info)
		if recorder == nil {
			return nil, err
		}
		return cfg.Record.Recorder(info, recorder, content...), err
	}
}

func newServer(cfg config, known *targets.Set, dir *sink.Dir, log *zap.Logger) *intercept.Server {
	s := &intercept.Server{
		IsTarget:      known.Contains,
		Protocols:     protocols,
		Open:          opening(cfg, dir),
		Node:          nodeName(cfg),
		Policy:        cfg.FailPolicy,
		MaxSessions:   cfg.MaxSessions,
		HeadTimeout:   cfg.HeadTimeout,
		HalfCloseIdle: cfg.HalfCloseIdle,
		Log:           log,
		Noise:         sampled(log),
	}
	if cfg.Listen != nil {
		s.Mark = cfg.Mark.Value
	}
	return s
}

// drainedSentence is what a user reads whose session outlives the drain.
const drainedSentence = "exectape: this session was ended because the recorder on its node stops; run the command again"

// drain lets no new connection come, waits for the sessions to end, and only
// then takes out the chain: its rules keep connection tracking hooked, without
// which a redirected session would be reset.
func drain(cfg config, server *intercept.Server, rules *keeper.Keeper, log *zap.Logger) (err error) {
	log.Info("draining", zap.Duration("at_most", cfg.DrainTimeout))
	// That of the process has ended. However short the sessions' time is, the
	// rules go.
	ctx := context.Background()
	if rules != nil {
		err = rules.Leave(ctx)
	}
	draining, cancel := context.WithTimeout(ctx, cfg.DrainTimeout)
	defer cancel()
	if ended := server.Shutdown(draining, drainedSentence); ended > 0 {
		log.Warn("sessions ended before their time", zap.Int("sessions", ended))
	}
	if rules != nil {
		err = errors.Join(err, rules.Clear(ctx))
	}
	log.Info("stopped")
	return err
}
