package cluster_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// No runtime speaks what kubectl speaks over WebSocket. The API server makes
// SPDY of it; from Kubernetes 1.36 on it leaves that to the kubelet. Who hands on
// a request adds to X-Forwarded-For from where it came, and who makes one begins
// it anew.
func TestKubectlsWebSocketsAreRecordedAsTheSPDYThatIsMadeOfThem(t *testing.T) {
	needsCluster(t)
	install(t)
	translated := 1 // handed on by the kubelet
	if (user{t: t}).minorVersion() >= 36 {
		translated = 0
	}
	for _, c := range []struct {
		user
		hops    int
		claimed string
	}{
		{user{t: t}, translated, ""},
		{user{t: t, spdy: true}, 2, "kubectl exec"},
	} {
		t.Run(c.protocol(), func(t *testing.T) {
			all := tapesFromNowOn(t)
			user{t, c.spdy}.does("exec", "--stdin", "web", "--container=app", "--", "true")
			session := all.next()
			session.is(want{verb: "exec", certain: true, protocol: "spdy"})
			hops := strings.FieldsFunc(session.Claims["X-Forwarded-For"], func(r rune) bool { return r == ',' })
			if len(hops) != c.hops || session.Claims["Kubectl-Command"] != c.claimed {
				t.Errorf("the session's claims are %q, want %d hops, and the command %q", session.Claims, c.hops, c.claimed)
			}
			all.none()
		})
	}
}

// minorVersion is the 37 of an API server 1.37.2.
func (u user) minorVersion() (minor int) {
	u.t.Helper()
	var version struct{ Minor string }
	text := u.does("get", "--raw", "/version")
	if err := json.Unmarshal([]byte(text), &version); err != nil {
		u.t.Fatal(err)
	}
	// Some providers' are as in "37+".
	minor, err := strconv.Atoi(strings.TrimSuffix(version.Minor, "+"))
	if err != nil {
		u.t.Fatal(err)
	}
	return minor
}
