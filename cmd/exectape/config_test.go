package main

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"

	"exectape/iptables"
	"exectape/record"
	"exectape/session"
	"exectape/sink"
)

func TestConfigOfAnEmptyEnvironmentIsTheDefaults(t *testing.T) {
	cfg, err := loadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		Listen:        []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1015"), netip.MustParseAddrPort("127.0.0.1:1016")},
		Mark:          iptables.Mark{Value: 0x2000, Mask: 0x2000},
		IPTables:      iptables.Auto,
		CheckInterval: 2 * time.Second,
		Lease:         3 * time.Second,
		MaxSessions:   5000,
		HeadTimeout:   10 * time.Second,
		HalfCloseIdle: time.Minute,
		Dir:           "/var/lib/exectape/casts",
		FlushInterval: 200 * time.Millisecond,
		SinkTimeout:   5 * time.Second,
		SessionMax:    1 << 30,
		DirMaxBytes:   10 << 30,
		DirMaxAge:     720 * time.Hour,
		DirMinFree:    1 << 30,
		CastVersion:   2,
		AdminListen:   netip.MustParseAddrPort("127.0.0.1:1017"),
		Socket:        "/run/exectape/exectape.sock",
		RuntimeState:  "/run/containerd",
		IdentifyWait:  100 * time.Millisecond,
		LogLevel:      zapcore.InfoLevel,
		LogFormat:     "json",
		DrainTimeout:  time.Hour,
		given:         map[string]string{},
	}
	diffConfig(t, want, cfg)
}

func TestConfigReadsEveryVariable(t *testing.T) {
	environ := []string{
		"EXECTAPE_LISTEN=127.0.0.1:1016",
		"EXECTAPE_SOCKS5_LISTEN=[::1]:1080",
		"EXECTAPE_TARGETS=127.0.0.1:34567,[::1]:34567",
		"EXECTAPE_MARK=0x40/0xff",
		"EXECTAPE_IPTABLES=off",
		"EXECTAPE_CHECK_INTERVAL=500ms",
		"EXECTAPE_FAIL_POLICY=closed",
		"EXECTAPE_LEASE=10s",
		"EXECTAPE_MAX_SESSIONS=7",
		"EXECTAPE_HEAD_TIMEOUT=250ms",
		"EXECTAPE_HALF_CLOSE_IDLE=2m",
		"EXECTAPE_DIR=/casts",
		"EXECTAPE_DURABILITY=synced",
		"EXECTAPE_FLUSH_INTERVAL=1s",
		"EXECTAPE_SINK_TIMEOUT=2s",
		"EXECTAPE_SESSION_MAX_BYTES=64MiB",
		"EXECTAPE_DIR_MAX_BYTES=2GiB",
		"EXECTAPE_DIR_MAX_AGE=48h",
		"EXECTAPE_DIR_MIN_FREE=128MiB",
		"EXECTAPE_HTTP_URL=https://recorder.example/casts",
		"EXECTAPE_HTTP_TOKEN_FILE=/token",
		"EXECTAPE_HTTP_CA_FILE=/ca",
		"EXECTAPE_HTTP_CERT_FILE=/cert",
		"EXECTAPE_HTTP_KEY_FILE=/key",
		"EXECTAPE_HTTP_LIVE=true",
		"EXECTAPE_HTTP_GZIP=true",
		"EXECTAPE_CAST_VERSION=3",
		"EXECTAPE_RECORD_STDIN=full",
		"EXECTAPE_RECORD=skip namespace=kube-*; sizes pod=pay-*",
		"EXECTAPE_RUNTIME_STATE=/run/k3s/containerd",
		"EXECTAPE_IDENTIFY_WAIT=0s",
		"EXECTAPE_ADMIN_LISTEN=[::1]:9000",
		"EXECTAPE_SOCKET=/socket",
		"EXECTAPE_NODE_NAME=node-7",
		"EXECTAPE_LOG_LEVEL=debug",
		"EXECTAPE_LOG_FORMAT=console",
		"EXECTAPE_DRAIN_TIMEOUT=1h30m",
	}
	if got, want := len(environ), len(variables()); got != want {
		t.Fatalf("this test sets %d variables, there are %d", got, want)
	}
	cfg, err := loadConfig(append(environ, "HOME=/root", "EXECTAPE_TEST_ROOT=1"))
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		Listen:        []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1016")},
		SOCKS5Listen:  netip.MustParseAddrPort("[::1]:1080"),
		Targets:       targetList{netip.MustParseAddrPort("127.0.0.1:34567"), netip.MustParseAddrPort("[::1]:34567")},
		Mark:          iptables.Mark{Value: 0x40, Mask: 0xff},
		IPTables:      iptables.Off,
		CheckInterval: 500 * time.Millisecond,
		FailPolicy:    session.FailClosed,
		Lease:         10 * time.Second,
		MaxSessions:   7,
		HeadTimeout:   250 * time.Millisecond,
		HalfCloseIdle: 2 * time.Minute,
		Dir:           "/casts",
		Durability:    sink.Synced,
		FlushInterval: time.Second,
		SinkTimeout:   2 * time.Second,
		SessionMax:    64 << 20,
		DirMaxBytes:   2 << 30,
		DirMaxAge:     48 * time.Hour,
		DirMinFree:    128 << 20,
		HTTPURL:       url.URL{Scheme: "https", Host: "recorder.example", Path: "/casts"},
		HTTPTokenFile: "/token",
		HTTPCAFile:    "/ca",
		HTTPCertFile:  "/cert",
		HTTPKeyFile:   "/key",
		HTTPLive:      true,
		HTTPGzip:      true,
		CastVersion:   3,
		RecordStdin:   sink.StdinFull,
		Record:        record.Rules{{Action: record.Skip, Namespace: "kube-*"}, {Action: record.Sizes, Pod: "pay-*"}},
		RuntimeState:  "/run/k3s/containerd",
		AdminListen:   netip.MustParseAddrPort("[::1]:9000"),
		Socket:        "/socket",
		NodeName:      "node-7",
		LogLevel:      zapcore.DebugLevel,
		LogFormat:     "console",
		DrainTimeout:  90 * time.Minute,
		given:         cfg.given,
	}
	diffConfig(t, want, cfg)
}

func diffConfig(t *testing.T, want, got config) {
	t.Helper()
	addrPort := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{}), addrPort); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestConfigTakesAnEmptyVariableForOneThatIsNotSet(t *testing.T) {
	cfg, err := loadConfig([]string{"EXECTAPE_HEAD_TIMEOUT=", "EXECTAPE_SOCKS5_LISTEN=", "EXECTAPE_TARGETS="})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.HeadTimeout != 10*time.Second || cfg.SOCKS5Listen.IsValid() || cfg.Targets != nil {
		t.Errorf("config = %+v, want the defaults", cfg)
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, mistaken := range []string{
		"LISTEN=1015",                          // no address
		"LISTEN=127.0.0.1",                     // no port
		"LISTEN=127.0.0.1:0",                   // whichever port is free: the rules couldn't name it
		"LISTEN=127.0.0.1:1024",                // anyone may take it
		"LISTEN=127.0.0.1:1015,127.0.0.1:1015", // twice
		"LISTEN=0.0.0.0:1015",                  // open to the network
		"LISTEN=127.0.0.2:1015",                // where no REDIRECT leads
		"LISTEN=[::1]:1015",                    // opened with 127.0.0.1
		"SOCKS5_LISTEN=10.0.0.1:1080",          // open to the network
		"SOCKS5_LISTEN=localhost:1080",         // a name
		"TARGETS=34567",                        // no address
		"TARGETS=127.0.0.1:34567,",             // a comma too many
		"TARGETS=auto,127.0.0.1:34567",         // what is found, or what is given
		"TARGETS=127.0.0.1:0",                  // no port
		"TARGETS=0.0.0.0:34567",                // where it listens, not where the kubelet dials
		"TARGETS=[::ffff:127.0.0.1]:34567",     // IPv4 in disguise
		"TARGETS=[fe80::1%eth0]:34567",         // iptables knows no zones
		"MARK=yes",
		"MARK=0x0/0x2000",    // every unmarked packet has it
		"MARK=0x4000/0x2000", // no packet has it
		"IPTABLES=nftables",
		"CHECK_INTERVAL=0s",
		"LEASE=1s",     // renewed every second
		"LEASE=2500ms", // the kernel counts whole ones
		"HEAD_TIMEOUT=10",
		"HEAD_TIMEOUT=5 mins",
		"HEAD_TIMEOUT=0s",
		"HALF_CLOSE_IDLE=-1m",
		"SESSION_MAX_BYTES=1G",
		"SESSION_MAX_BYTES=0B",
		"DIR_MAX_BYTES=0B",
		"DIR_MAX_AGE=30d",
		"DIR_MIN_FREE=10%",
		"HTTP_URL=recorder.example/casts", // no scheme
		"HTTP_URL=ftp://recorder.example",
		"HTTP_URL=http:///casts", // no host
		"HTTP_URL=http://recorder.example:http",
		"HTTP_TOKEN_FILE=/token", // for whom?
		"HTTP_CA_FILE=/ca",
		"HTTP_CERT_FILE=/cert",
		"HTTP_KEY_FILE=/key",
		"HTTP_LIVE=true",
		"HTTP_GZIP=yes",
		"CAST_VERSION=1",
		"CAST_VERSION=two",
		"RECORD_STDIN=yes", // how much of it?
		"LOG_LEVEL=fatal",  // zap's, not ours
		"LOG_LEVEL=loud",
		"LOG_FORMAT=text",
		"ADMIN_LISTEN=1017",        // no address
		"ADMIN_LISTEN=127.0.0.1:0", // which nobody would find
		"SOCKET=exectape.sock",     // depends on where it was started
		"NODE_NAME=node 7",
		"RECORD=forget namespace=shop",
		"RECORD=skip label=app",
		"RUNTIME_STATE=containerd", // depends on where it was started
		"IDENTIFY_WAIT=1m",         // for which sessions would be held
		"DRAIN_TIMEOUT=forever",
		"HEAD_TIMOUT=10s", // misspelt
		"PORT=tcp://10.0.0.1:80",
	} {
		t.Run(mistaken, func(t *testing.T) {
			_, err := loadConfig([]string{"EXECTAPE_" + mistaken})
			if err == nil {
				t.Fatal("was taken")
			}
			name, value, _ := strings.Cut(mistaken, "=")
			if want := "EXECTAPE_" + name + `="` + value + `": `; !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %q, want one line that begins with %q", err, want)
			}
		})
	}
}

func TestConfigHasAnAnswerToNonsenseInAnyVariable(t *testing.T) {
	for _, v := range variables() {
		if v.name == "DIR" {
			continue // any name will do
		}
		if _, err := loadConfig([]string{prefix + v.name + "=?!"}); err == nil {
			t.Errorf("%s%s: nonsense was taken; it lacks a check", prefix, v.name)
		}
	}
}

func TestConfigShowsNothingThatGivesAccessToTheRecorder(t *testing.T) {
	for _, mistaken := range []string{
		"https://user:secret@recorder.example/casts",
		"https://secret@recorder.example/casts",
		"https://recorder.example/casts?key=secret",
		"https://recorder.example/casts#secret",
		"https://user:se/cr@et:secret@recorder.example?secret",
		"user:secret@recorder.example",
	} {
		_, err := loadConfig([]string{"EXECTAPE_HTTP_URL=" + mistaken})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "recorder.example") {
			t.Errorf("%s: error = %v, want one that shows the host, and no secret", mistaken, err)
		}
	}
}

func TestConfigWantsWhatARecorderNeedsTogether(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ []string
		want    []string // the variables that are mistaken
	}{
		{"a certificate without a key", []string{"HTTP_URL=https://r", "HTTP_CERT_FILE=/c"}, []string{"HTTP_CERT_FILE"}},
		{"a key without a certificate", []string{"HTTP_URL=https://r", "HTTP_KEY_FILE=/k"}, []string{"HTTP_KEY_FILE"}},
		{"an authority without TLS", []string{"HTTP_URL=http://r", "HTTP_CA_FILE=/ca"}, []string{"HTTP_CA_FILE"}},
		{"only the URL is mistaken", []string{"HTTP_URL=https:/r", "HTTP_CA_FILE=/ca", "HTTP_LIVE=true"}, []string{"HTTP_URL"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var environ, got []string
			for _, v := range test.environ {
				environ = append(environ, prefix+v)
			}
			_, err := loadConfig(environ)
			for line := range strings.Lines(err.Error()) {
				name, _, _ := strings.Cut(strings.TrimPrefix(line, prefix), "=")
				got = append(got, name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigOpensNoRedirectListenerThatNoRuleLeadsTo(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ []string
		open    bool
	}{
		{"rules", nil, true},
		{"no rules", []string{"EXECTAPE_IPTABLES=off"}, false},
		{"no rules of ours", []string{"EXECTAPE_IPTABLES=off", "EXECTAPE_LISTEN=127.0.0.1:1015"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := loadConfig(test.environ)
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Listen != nil; got != test.open {
				t.Errorf("listener open = %v, want %v", got, test.open)
			}
		})
	}
}

func TestRunNeedsAWayIn(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ []string
		want    string // part of the error; empty for none
	}{
		{"rules", nil, ""},
		{"no way in", []string{"EXECTAPE_IPTABLES=off"}, `EXECTAPE_IPTABLES="off": no connection would ever reach`},
		{"SOCKS5 only", []string{"EXECTAPE_IPTABLES=off", "EXECTAPE_SOCKS5_LISTEN=127.0.0.1:1080"}, ""},
		{"somebody else's rules", []string{"EXECTAPE_IPTABLES=off", "EXECTAPE_LISTEN=127.0.0.1:1015"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := loadConfig(test.environ)
			if err != nil {
				t.Fatal(err)
			}
			err = cfg.validateRun()
			if test.want == "" && err != nil {
				t.Errorf("error = %v, want none", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
		})
	}
}
