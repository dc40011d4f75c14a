package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"go.uber.org/zap/zapcore"

	"exectape/iptables"
	"exectape/record"
	"exectape/session"
	"exectape/sink"
)

// prefix begins the name of every variable that exectape reads, testPrefix of
// those that only its tests do.
const (
	prefix     = "EXECTAPE_"
	testPrefix = prefix + "TEST_"
)

// config is what the environment says. A variable that is set but empty counts
// as not set. The doc tags are what README.md and "exectape help" say.
type config struct {
	// Listen is nil where no redirect listener is wanted.
	Listen        []netip.AddrPort `env:"LISTEN" envDefault:"127.0.0.1:1015,127.0.0.1:1016" doc:"where redirected connections arrive: the first that no other exectape has, and the same port on [::1]; two of them, so that one exectape can follow another; none is opened when EXECTAPE_IPTABLES=off, unless set"`
	SOCKS5Listen  netip.AddrPort   `env:"SOCKS5_LISTEN" doc:"a SOCKS5 entry to the same path, for where no rule can be set; a loopback address"`
	Targets       targetList       `env:"TARGETS" envDefault:"auto" doc:"the runtimes' streaming servers, separated by commas, as in 127.0.0.1:34567; or auto: those of containerd, CRI-O, conmon-rs and cri-dockerd that run here as root, and followed when they move"`
	Mark          iptables.Mark    `env:"MARK" envDefault:"0x2000/0x2000" doc:"the packet mark on exectape's own connections, by which the rules let them pass"`
	IPTables      iptables.Backend `env:"IPTABLES" envDefault:"auto" doc:"who sets the rules: nft, legacy, auto (the one that the node's kubelet uses), or off"`
	CheckInterval time.Duration    `env:"CHECK_INTERVAL" envDefault:"2s" doc:"how often the rules are looked at, and repaired"`
	FailPolicy    session.Policy   `env:"FAIL_POLICY" envDefault:"open" doc:"what becomes of a session that can't be recorded or decoded: open lets it go on, and says what is missing; closed ends or refuses it, and tells its client why"`
	Lease         time.Duration    `env:"LEASE" envDefault:"3s" doc:"with EXECTAPE_FAIL_POLICY=open: for how long the kernel goes on leading sessions to an exectape that serves no more; renewed every second"`
	MaxSessions   int              `env:"MAX_SESSIONS" envDefault:"5000" doc:"how many sessions are recorded at once; what comes beyond can't be recorded, so the policy applies"`
	HeadTimeout   time.Duration    `env:"HEAD_TIMEOUT" envDefault:"10s" doc:"how long the head of an HTTP request may take to arrive"`
	HalfCloseIdle time.Duration    `env:"HALF_CLOSE_IDLE" envDefault:"1m" doc:"how long the other half may be idle once one side has closed its own"`
	Dir           string           `env:"DIR" envDefault:"/var/lib/exectape/casts" doc:"where the casts are kept"`
	Durability    sink.Durability  `env:"DURABILITY" envDefault:"written" doc:"how well kept a byte is when it is handed on: buffered, in memory, and in the file a flush interval later; written, in the file, so that it outlives exectape; synced, on the disk, so that it outlives the machine"`
	FlushInterval time.Duration    `env:"FLUSH_INTERVAL" envDefault:"200ms" doc:"how long a byte may wait in memory when EXECTAPE_DURABILITY=buffered"`
	SinkTimeout   time.Duration    `env:"SINK_TIMEOUT" envDefault:"5s" doc:"how long the disk may take to answer before EXECTAPE_FAIL_POLICY decides what becomes of the sessions that wait for it"`
	SessionMax    size             `env:"SESSION_MAX_BYTES" envDefault:"1GiB" doc:"how long the cast of one session may get; beyond it EXECTAPE_FAIL_POLICY decides whether the session goes on unrecorded or is ended"`
	DirMaxBytes   size             `env:"DIR_MAX_BYTES" envDefault:"10GiB" doc:"how much all casts may take; beyond it the oldest finished ones are removed, those first that a recorder has acknowledged"`
	DirMaxAge     time.Duration    `env:"DIR_MAX_AGE" envDefault:"720h" doc:"how long a finished cast is kept"`
	DirMinFree    size             `env:"DIR_MIN_FREE" envDefault:"1GiB" doc:"how much of the file system is kept free by removing casts, but at most a tenth of it"`
	HTTPURL       url.URL          `env:"HTTP_URL" doc:"an HTTP recorder: finished casts are put below this URL, as in https://recorder.example/casts"`
	HTTPTokenFile string           `env:"HTTP_TOKEN_FILE" doc:"a file with the bearer token for it; it may be replaced at any time, and so may the following three"`
	HTTPCAFile    string           `env:"HTTP_CA_FILE" doc:"a file with the authorities, in PEM, to trust with it in place of the system's"`
	HTTPCertFile  string           `env:"HTTP_CERT_FILE" doc:"a file with a client certificate for it, in PEM"`
	HTTPKeyFile   string           `env:"HTTP_KEY_FILE" doc:"a file with that certificate's key, in PEM"`
	HTTPLive      bool             `env:"HTTP_LIVE" envDefault:"false" doc:"send casts while they are live, too: true or false"`
	HTTPGzip      bool             `env:"HTTP_GZIP" envDefault:"false" doc:"send casts compressed, as NAME.cast.gz: true or false"`
	CastVersion   int              `env:"CAST_VERSION" envDefault:"2" doc:"the version of asciicast to write: 2 or 3"`
	RecordStdin   sink.StdinMode   `env:"RECORD_STDIN" envDefault:"off" doc:"what is kept of what is typed, passwords included: off, nothing; count, how many bytes; full, every byte"`
	AdminListen   netip.AddrPort   `env:"ADMIN_LISTEN" envDefault:"127.0.0.1:1017" doc:"where /healthz, /readyz and /metrics are answered, to whoever gets there; while another instance has the address it is waited for"`
	Socket        string           `env:"SOCKET" envDefault:"/run/exectape/exectape.sock" doc:"the Unix socket on which exectape probe and exectape sessions ask this instance; only root and its own user are answered"`
	NodeName      string           `env:"NODE_NAME" doc:"this node's name, in every cast, in every request to a recorder and in exectape_build_info; the host's name, unless set"`
	Record        record.Rules     `env:"RECORD" doc:"what is recorded of whose sessions, as in skip namespace=kube-system container=istio-*; sizes namespace=pay-* verb=exec. The first rule that fits counts; what none fits, or what can't be identified in time, is recorded"`
	RuntimeState  string           `env:"RUNTIME_STATE" envDefault:"/run/containerd" doc:"containerd's state directory, or CRI-O's /run/containers/storage, which says whose sessions are; only read"`
	IdentifyWait  time.Duration    `env:"IDENTIFY_WAIT" envDefault:"100ms" doc:"how long a session may be held at its start, all told, so that it can't be mistaken for another that starts at the same time; 0s: not at all"`
	LogLevel      zapcore.Level    `env:"LOG_LEVEL" envDefault:"info" doc:"the least that is logged: debug, info, warn or error"`
	LogFormat     string           `env:"LOG_FORMAT" envDefault:"json" doc:"json or console, to standard error"`
	DrainTimeout  time.Duration    `env:"DRAIN_TIMEOUT" envDefault:"1h" doc:"how long sessions may go on after SIGTERM"`

	plain bool              // no colours are wanted: by NO_COLOR, or because of what TERM is
	given map[string]string // the EXECTAPE_ variables that were set, by their full names
}

// redirected is where the kernel's REDIRECT leads a connection of IPv4.
var redirected = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// checks says, in the order of the fields, what each variable must be and what
// to answer if it is not. A variable that has no check takes any value.
func (c config) checks() []check {
	socks := c.SOCKS5Listen
	recorder := c.given[prefix+"HTTP_URL"]
	sends, secure := recorder != "", recorder != "" && !strings.HasPrefix(recorder, "http:")
	return []check{
		{"LISTEN", arePlaces(c.Listen),
			"not 127.0.0.1 with ports below 1024, which no unprivileged process can take over, each of them once; write 127.0.0.1:1015,127.0.0.1:1016"},
		{"SOCKS5_LISTEN", socks == netip.AddrPort{} || socks.Addr().IsLoopback(),
			"not a loopback address with a port; write 127.0.0.1:1080 or [::1]:1080"},
		{"TARGETS", !slices.ContainsFunc(c.Targets, unreachable),
			"not a list of addresses with ports that a kubelet connects to; write auto, or 127.0.0.1:34567,[::1]:34567"},
		{"MARK", true,
			"not a mark that tells packets apart; write a value above zero and a mask that covers it, as in 0x2000/0x2000"},
		{"IPTABLES", true,
			"not a kind of iptables; write auto, nft, legacy or off"},
		{"CHECK_INTERVAL", c.CheckInterval > 0, notDuration},
		{"FAIL_POLICY", true,
			"not a policy; write open or closed"},
		{"LEASE", c.Lease >= 2*time.Second && c.Lease%time.Second == 0,
			"not whole seconds, two or more; write a number with s or m, as in 3s"},
		{"MAX_SESSIONS", c.MaxSessions > 0,
			"not a number above zero; write one, as in 5000"},
		{"HEAD_TIMEOUT", c.HeadTimeout > 0, notDuration},
		{"HALF_CLOSE_IDLE", c.HalfCloseIdle > 0, notDuration},
		{"DURABILITY", true,
			"not a durability; write buffered, written or synced"},
		{"FLUSH_INTERVAL", c.FlushInterval > 0, notDuration},
		{"SINK_TIMEOUT", c.SinkTimeout > 0, notDuration},
		{"SESSION_MAX_BYTES", c.SessionMax > 0, notSize},
		{"DIR_MAX_BYTES", c.DirMaxBytes > 0, notSize},
		{"DIR_MAX_AGE", c.DirMaxAge > 0, notDuration},
		{"DIR_MIN_FREE", c.DirMinFree > 0, notSize},
		{"HTTP_URL", c.HTTPURL == url.URL{} || isPlace(c.HTTPURL), notPlace},
		{"HTTP_TOKEN_FILE", c.HTTPTokenFile == "" || sends, noRecorder},
		{"HTTP_CA_FILE", c.HTTPCAFile == "" || secure, noTLS},
		{"HTTP_CERT_FILE", c.HTTPCertFile == "" || secure && c.HTTPKeyFile != "", noTLS + ", and EXECTAPE_HTTP_KEY_FILE"},
		{"HTTP_KEY_FILE", c.HTTPKeyFile == "" || secure && c.HTTPCertFile != "", noTLS + ", and EXECTAPE_HTTP_CERT_FILE"},
		{"HTTP_LIVE", !c.HTTPLive || sends, notWanted},
		{"HTTP_GZIP", !c.HTTPGzip || sends, notWanted},
		{"CAST_VERSION", c.CastVersion == 2 || c.CastVersion == 3,
			"not a version of asciicast that exectape writes; write 2 or 3"},
		{"RECORD_STDIN", true,
			"not a way to record stdin; write off, count or full"},
		{"ADMIN_LISTEN", c.AdminListen.IsValid() && c.AdminListen.Port() > 0,
			"not an address with a port; write 127.0.0.1:1017"},
		{"SOCKET", filepath.IsAbs(c.Socket) && len(c.Socket) <= maxSocketPath,
			"not an absolute path of at most 107 bytes, which is what a Unix socket can have; write /run/exectape/exectape.sock"},
		{"NODE_NAME", nodeNames.MatchString(c.NodeName),
			"not a node's name; write letters, digits, dots and dashes, 253 at most, as in node-7"},
		{"RECORD", true,
			"not a list of rules; write record, sizes or skip with patterns for namespace, pod, container or verb, as in skip namespace=kube-system; sizes pod=pay-* verb=exec"},
		{"RUNTIME_STATE", filepath.IsAbs(c.RuntimeState),
			"not a path that begins with /; write /run/containerd"},
		{"IDENTIFY_WAIT", c.IdentifyWait >= 0 && c.IdentifyWait <= time.Second,
			"not a duration of at most a second; write a number with ms, as in 100ms"},
		{"LOG_LEVEL", c.LogLevel <= zapcore.ErrorLevel,
			"not a log level; write debug, info, warn or error"},
		{"LOG_FORMAT", c.LogFormat == "json" || c.LogFormat == "console",
			"not a log format; write json or console"},
		{"DRAIN_TIMEOUT", c.DrainTimeout > 0, notDuration},
	}
}

type check struct {
	name   string
	ok     bool
	answer string // what is wrong; what to do
}

var nodeNames = regexp.MustCompile(`^[0-9A-Za-z.-]{0,253}$`)

// maxSocketPath is how long the path of a Unix socket may be: unix(7).
const maxSocketPath = 107

const notDuration = "not a duration above zero; write a number with ms, s, m or h, as in 10s"

const notSize = "not a size above zero; write a number with B, KiB, MiB or GiB, as in 512MiB"

// arePlaces reports whether redirected connections can arrive at each of all.
func arePlaces(all []netip.AddrPort) bool {
	for i, at := range all {
		if at.Addr() != redirected || at.Port() == 0 || at.Port() >= 1024 || slices.Contains(all[:i], at) {
			return false
		}
	}
	return len(all) > 0
}

// unreachable reports whether no connection can have target as its original
// destination, as the kernel tells it.
func unreachable(target netip.AddrPort) bool {
	a := target.Addr()
	return a.IsUnspecified() || a.Is4In6() || a.Zone() != "" || target.Port() == 0
}

// A mistake is one line about one variable.
type mistake struct {
	name   string // without the prefix
	value  string
	answer string
}

func (m mistake) Error() string {
	return fmt.Sprintf("%s%s=%q: %s", prefix, m.name, m.value, m.answer)
}

// loadConfig reads the configuration from environ, as os.Environ returns it.
// Its error has a line for every mistake. Beside an error the config is good
// only for being asked what else is wrong with it.
func loadConfig(environ []string) (config, error) {
	all := env.ToMap(environ)
	cfg := config{given: make(map[string]string), plain: all["NO_COLOR"] != "" || all["TERM"] == "dumb"}
	for name, value := range all {
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, testPrefix) && value != "" {
			cfg.given[name] = value
		}
	}

	unread, err := cfg.parse()
	if err != nil {
		return cfg, err
	}
	var mistakes []error
	for _, c := range cfg.checks() {
		if !c.ok || slices.Contains(unread, c.name) {
			mistakes = append(mistakes, mistake{c.name, presentable(c.name, cfg.given[prefix+c.name]), c.answer})
		}
	}
	if cfg.IPTables == iptables.Off && cfg.given[prefix+"LISTEN"] == "" {
		cfg.Listen = nil
	}
	return cfg, errors.Join(append(mistakes, cfg.strangers()...)...)
}

// parse fills the fields and returns the names of the variables whose values
// could not be read at all.
func (c *config) parse() (unread []string, err error) {
	err = env.ParseWithOptions(c, env.Options{Environment: c.given, Prefix: prefix})
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil, err
	}
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			return nil, err // a mistake in the tags, not in the environment
		}
		field, _ := reflect.TypeFor[config]().FieldByName(parse.Name)
		unread = append(unread, field.Tag.Get("env"))
	}
	return unread, nil
}

// strangers returns a mistake for each variable that exectape does not know:
// one that is misspelt would otherwise quietly have no effect.
func (c config) strangers() []error {
	known := make(map[string]bool)
	for _, v := range variables() {
		known[v.name] = true
	}
	var mistakes []error
	for full, value := range c.given {
		if name := strings.TrimPrefix(full, prefix); !known[name] {
			mistakes = append(mistakes, mistake{name, value, "no such variable; " + `"exectape help" lists them all`})
		}
	}
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return mistakes
}

// validateRun reports what "exectape run" lacks to do its work.
func (c config) validateRun() error {
	if c.IPTables == iptables.Off && c.given[prefix+"LISTEN"] == "" && c.given[prefix+"SOCKS5_LISTEN"] == "" {
		return mistake{"IPTABLES", c.IPTables.String(),
			"no connection would ever reach exectape; set " + prefix + "SOCKS5_LISTEN, as in 127.0.0.1:1080, or " + prefix + "LISTEN"}
	}
	return nil
}

// A variable is what there is to say about one field of config.
type variable struct{ name, preset, doc string }

func variables() []variable {
	var all []variable
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		if name := f.Tag.Get("env"); name != "" {
			all = append(all, variable{name, f.Tag.Get("envDefault"), f.Tag.Get("doc")})
		}
	}
	return all
}
