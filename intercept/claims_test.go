package intercept_test

import (
	"bufio"
	"testing"

	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

func TestASessionHasWhatItsRequestClaims(t *testing.T) {
	streams := opening(t, "error", "stdout")
	p := newProxy(t, newRuntime(t, hello(t, streams)), nil)
	conn := p.dial(upgradeRequest("POST /exec/abcdefgh HTTP/1.1", "user-agent: kubectl/v1.37.2", "X-Forwarded-For: 10.0.0.1", "x-forwarded-for: 10.0.0.2",
		"Audit-ID: 6b1e", "Kubectl-Command: kubectl exec", "Authorization: Bearer secret", "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.secret") + streams)
	r := bufio.NewReader(conn)
	if got := head(t, r); got != 101 {
		t.Fatalf("status %d", got)
	}
	greeted(t, conn, r)
	want := session.Claims{"User-Agent": "kubectl/v1.37.2", "X-Forwarded-For": "10.0.0.1, 10.0.0.2", "Audit-ID": "6b1e", "Kubectl-Command": "kubectl exec"}
	if diff := cmp.Diff(want, p.sessions(1)[0].info.Claims); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
