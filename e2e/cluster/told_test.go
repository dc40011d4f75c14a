package cluster_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMetricsAgreeWithTheSessionsThatWereMade(t *testing.T) {
	needsCluster(t)
	install(t)
	u := user{t: t}
	all := tapesFromNowOn(t)
	before := ended(t)
	for _, script := range []string{"true", "exit 3", "echo hello"} {
		u.kubectl(nil, "exec", "web", "--container=app", "--", "sh", "-c", script)
		all.next()
	}
	for deadline := time.Now().Add(patience); ended(t) != before+3; time.Sleep(askAgain) {
		if time.Now().After(deadline) {
			t.Fatalf("/metrics tells of %d sessions that have ended since, want 3:\n%s", ended(t)-before, metrics(t))
		}
	}
}

// ended is how many sessions have ended, of every kind.
func ended(t *testing.T) int {
	t.Helper()
	return sum(t, metrics(t), "exectape_sessions_total{")
}

// sum adds up what a page of metrics has in lines that begin so.
func sum(t *testing.T, page, prefix string) (total int) {
	t.Helper()
	for lines := bufio.NewScanner(strings.NewReader(page)); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), "} "); strings.HasPrefix(name, prefix) {
			var n int
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			total += n
		}
	}
	return total
}

// metrics returns /metrics of the node's exectape. Between two of them there may
// be a second in which nobody answers.
func metrics(t *testing.T) string {
	t.Helper()
	const url = "http://127.0.0.1:1017/metrics"
	return string(onNode(t, "sh", "-c", "until curl -sS "+url+" || busybox wget -qO- "+url+"; do sleep 0.1; done"))
}

func TestTheLogHasNothingThatWasTypedOrShown(t *testing.T) {
	needsCluster(t)
	install(t)
	u := user{t: t}
	all := tapesFromNowOn(t)
	typed, shown := rand.Text(), rand.Text()
	p := u.sitsDown("exec", "-it", "web", "--container=app", "--", "sh")
	p.types(fmt.Sprintf("read -s line; echo %s; exit 4\n", shown[:20]+"''"+shown[20:]))
	p.types(typed + "\n")
	p.sees(shown)
	p.leaves()
	all.next().is(want{verb: "exec", exit: 4, certain: true})
	logs := u.does("--namespace=exectape", "logs", "--selector=app.kubernetes.io/name=exectape", "--tail=-1")
	if !strings.Contains(logs, "session ended") {
		t.Errorf("the log tells of no session:\n%s", logs)
	}
	for _, secret := range []string{typed, shown} {
		if strings.Contains(logs, secret) {
			t.Errorf("the log has %q:\n%s", secret, logs)
		}
	}
}
