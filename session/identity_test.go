package session_test

import (
	"net/http"
	"strings"
	"testing"

	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

func TestWhatARequestClaims(t *testing.T) {
	tests := []struct {
		name string
		head http.Header
		want session.Claims
	}{
		{"nothing", http.Header{"Authorization": {"Bearer secret"}, "User-Agent": {""}}, nil},
		{"what kubectl says", http.Header{"User-Agent": {"kubectl/v1.37.2"}, "Kubectl-Command": {"kubectl exec"}, "Kubectl-Session": {"s"}, "Audit-Id": {"a"}},
			session.Claims{"User-Agent": "kubectl/v1.37.2", "Kubectl-Command": "kubectl exec", "Kubectl-Session": "s", "Audit-ID": "a"}},
		{"several proxies", http.Header{"X-Forwarded-For": {"10.0.0.1, 10.0.0.2", "10.0.0.3"}}, session.Claims{"X-Forwarded-For": "10.0.0.1, 10.0.0.2, 10.0.0.3"}},
		{"too much", http.Header{"User-Agent": {strings.Repeat("x", 1<<20)}}, session.Claims{"User-Agent": strings.Repeat("x", 256)}},
		{"a rune at the limit", http.Header{"User-Agent": {strings.Repeat("x", 255) + "é"}}, session.Claims{"User-Agent": strings.Repeat("x", 255)}},
		{"not UTF-8", http.Header{"User-Agent": {"a\xffb"}}, session.Claims{"User-Agent": "ab"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, session.NewClaims(test.head.Values)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnIdentityNamesAContainerOnlyIfItIsSure(t *testing.T) {
	for confidence, want := range map[session.Confidence]bool{
		session.ConfidenceExact: true, session.ConfidenceLikely: true, session.ConfidenceAmbiguous: false, session.ConfidenceUnknown: false, "": false,
	} {
		if got := (session.Identity{Namespace: "shop", Pod: "web", Container: "app", Confidence: confidence}).Names(); got != want {
			t.Errorf("%q: %v, want %v", confidence, got, want)
		}
	}
	if (session.Identity{Namespace: "shop", Pod: "web", Confidence: session.ConfidenceExact}).Names() {
		t.Error("a pod is not a container")
	}
}
