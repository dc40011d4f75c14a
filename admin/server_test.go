package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"exectape/admin"
	"exectape/session"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newServer returns a server of a node of which checks are asked.
func newServer(checks ...admin.Check) *admin.Server {
	sessions := func() []session.Summary { return []session.Summary{{ID: "7f3a9c01", Gaps: []session.Loss{}}} }
	return admin.NewServer(admin.NewMetrics(nil), checks, sessions, zap.NewNop())
}

// onSocket serves s on a Unix socket until the test ends, and returns its path.
func onSocket(t *testing.T, s *admin.Server) string {
	path := filepath.Join(t.TempDir(), "run", "exectape.sock")
	serving(t, func(ctx context.Context) { s.ServeUnix(ctx, path) })
	return path
}

// serving runs serve until the test ends.
func serving(t *testing.T, serve func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { serve(ctx) })
	t.Cleanup(func() { stop(); served.Wait() })
}

// patiently calls try until it succeeds.
func patiently(t *testing.T, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// ask waits for the server to be there, and returns what it says.
func ask(t *testing.T, socket, document string) (ok bool, answer string) {
	t.Helper()
	var said strings.Builder
	patiently(t, func() (err error) {
		said.Reset()
		ok, err = admin.Get(t.Context(), socket, document, &said)
		return err
	})
	return ok, said.String()
}

func TestReadinessNamesEachThingThatIsNotSo(t *testing.T) {
	sound := func() error { return nil }
	for _, tc := range []struct {
		name   string
		checks []admin.Check
		ready  bool
		says   string
	}{
		{"all is well", []admin.Check{{"listener", sound}, {"sink", sound}}, true,
			"listener: ok\nsink: ok\n"},
		{"two things are wrong", []admin.Check{
			{"listener", sound},
			{"rules", func() error { return errors.New("the jump is missing") }},
			{"sink", func() error { return errors.New("no space left on device") }},
		}, false,
			"listener: ok\nrules: the jump is missing\nsink: no space left on device\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ready, says := ask(t, onSocket(t, newServer(tc.checks...)), "/readyz")
			if ready != tc.ready {
				t.Errorf("ready: %v, want %v", ready, tc.ready)
			}
			if diff := cmp.Diff(tc.says, says); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACheckThatHangsFailsAndIsNotBegunASecondTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		disk := make(chan struct{})
		defer close(disk)
		ready := admin.NewReadiness([]admin.Check{{Name: "sink", Err: func() error { asked.Add(1); <-disk; return nil }}})
		for _, want := range []string{"sink: no answer for 2s\n", "sink: no answer for 4s\n"} {
			var said strings.Builder
			if ready.Tell(&said) || said.String() != want {
				t.Errorf("said %q, want %q", said.String(), want)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("the disk was asked %d times at once", n)
		}
	})
}

func TestWhoAsksOverTCPWithoutEndHasTheDiskAskedOnceASecond(t *testing.T) {
	var asked atomic.Int64
	s := newServer(admin.Check{Name: "sink", Err: func() error { asked.Add(1); return errors.New("no space left on device") }})
	address := freeAddress(t)
	began := time.Now()
	serving(t, func(ctx context.Context) { s.ServeTCP(ctx, address) })
	for range 100 {
		if status, says := get(t, "http://"+address+"/readyz"); status != 503 || says != "sink: no space left on device\n" {
			t.Fatalf("/readyz: %d %s", status, says)
		}
	}
	if most := 1 + int64(time.Since(began)/time.Second); asked.Load() > most {
		t.Errorf("the disk was asked %d times, at most %d is meant", asked.Load(), most)
	}
}

func TestLiveSessionsAreToldOnTheSocketOnly(t *testing.T) {
	s := newServer()
	if ok, says := ask(t, onSocket(t, s), "/sessions"); !ok || !strings.Contains(says, `"id":"7f3a9c01"`) {
		t.Errorf("on the socket: %v %s", ok, says)
	}
	address := "http://" + freeAddress(t)
	serving(t, func(ctx context.Context) { s.ServeTCP(ctx, strings.TrimPrefix(address, "http://")) })
	for document, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/sessions": 404} {
		if got, _ := get(t, address+document); got != want {
			t.Errorf("%s over TCP: %d, want %d", document, got, want)
		}
	}
}

// freeAddress returns a TCP address that nobody listens on.
func freeAddress(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// get waits for an answer.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	patiently(t, func() error {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		status, body = resp.StatusCode, string(b)
		return err
	})
	return status, body
}

func TestTheYoungerAnswersOnThePortWhenTheElderHasGivenItUp(t *testing.T) {
	elder, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := elder.Addr().String()
	serving(t, func(ctx context.Context) { newServer().ServeTCP(ctx, address) })
	if err := elder.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, "http://"+address+"/healthz"); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
}

func TestManySilentConnectionsHoldFewDescriptors(t *testing.T) {
	address := freeAddress(t)
	serving(t, func(ctx context.Context) { newServer().ServeTCP(ctx, address) })
	get(t, "http://"+address+"/healthz")
	var turnedAway int
	for range 100 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// One that has no place is closed at once, one that has one when its head is late.
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			turnedAway++
		}
	}
	if turnedAway == 0 {
		t.Error("a hundred silent connections are held at once")
	}
}
