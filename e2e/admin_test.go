package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/session"
)

// adminAddress is where exectape answers unless it is told otherwise.
const adminAddress = "127.0.0.1:1017"

// scraped waits until /metrics has a value for a metric, labels and all.
func scraped(t *testing.T, metric, value string) {
	t.Helper()
	eventually(t, metric+" is "+value, func(context.Context) bool {
		return strings.Contains("\n"+fetch(t, "/metrics"), "\n"+metric+" "+value+"\n")
	})
}

// fetch waits for an answer over TCP.
func fetch(t *testing.T, document string) (answer string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(t, adminAddress+" answers", func(context.Context) bool {
		resp, err := client.Get("http://" + adminAddress + document)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer = string(body)
		return err == nil
	})
	return answer
}

// probe waits until "exectape probe" says what it should.
func (e *exectape) probe(ready bool, says string) {
	e.t.Helper()
	eventually(e.t, fmt.Sprintf("exectape probe says %q", says), func(ctx context.Context) bool {
		out, err := e.program.Command(ctx, "probe").CombinedOutput()
		return (err == nil) == ready && strings.Contains(string(out), says)
	})
}

// sessions returns the sessions that go on, as exectape tells them.
func (e *exectape) sessions() (all []session.Summary) {
	e.t.Helper()
	for lines := json.NewDecoder(strings.NewReader(string(e.run("sessions", "--json")))); ; {
		var live session.Summary
		if lines.Decode(&live) != nil {
			return all
		}
		all = append(all, live)
	}
}

func TestWhoeverRunsTheNodeIsToldHowItIsDoing(t *testing.T) {
	byEachWay(t, func(t *testing.T, w way, e *exectape) {
		e.probe(true, "listener: ok\nsink: ok\ntargets: ok\n")

		u := run(t, w.kubelet, app, kubelet.Process{Command: []string{"cat"}, Stdin: true})
		u.types("hello\n")
		u.sees("hello\n")
		live := e.sessions()
		if len(live) != 1 || live[0].Verb != "exec" || live[0].Protocol != "spdy" || live[0].Streams.Stdout.Bytes != 6 {
			t.Errorf("exectape sessions: %+v", live)
		}
		scraped(t, "exectape_sessions_active", "1")
		u.endsStdin()
		u.leaves()
		e.recorded()
		eventually(t, "no session goes on", func(context.Context) bool { return len(e.sessions()) == 0 })
	})
}

func TestRulesThatSomebodyElseRemovedAreCountedWhenTheyAreBack(t *testing.T) {
	needsNode(t)
	e := start(t, byNFT.env...)
	e.probe(true, "rules: ok\nlease: ok\n")
	scraped(t, "exectape_rules_present", "1")
	byNFT.table(t, "-t", "nat", "-F", "OUTPUT")
	e.logs("rules repaired: sessions may have passed unrecorded")
	e.probe(true, "rules: ok\nlease: ok\n")
	scraped(t, "exectape_rules_repairs_total", "1")
}

func TestTwoInstancesOnAHostDoNotAnswerForEachOther(t *testing.T) {
	needsNode(t)
	younger := start(t, byNFT.env...)
	u := run(t, direct, app, cat)
	u.types("hello\n")
	u.sees("hello\n")
	elder := younger.on(t)
	elder.program.Env = slices.Clone(elder.program.Env) // which has the elder's socket
	elder.running = younger.follow()

	elder.probe(true, "listener: ok")
	younger.probe(true, "listener: ok")
	if n := len(elder.sessions()); n != 1 {
		t.Errorf("the elder knows of %d sessions, want its own", n)
	}
	if n := len(younger.sessions()); n != 0 {
		t.Errorf("the younger knows of %d sessions, and has none", n)
	}
	scraped(t, "exectape_sessions_active", "1") // the elder has the address

	elder.running.Terminate()
	scraped(t, "exectape_sessions_active", "0") // and leaves it to the younger when it drains
	elder.probe(false, "listener: exectape is being stopped")
	younger.probe(true, "listener: ok")
	if n := len(elder.sessions()); n != 1 {
		t.Errorf("the elder, draining, knows of %d sessions, want one", n)
	}
	u.endsStdin()
	u.leaves()
	ends(t, elder.running)
}
