package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAnAPIServerTakesEveryManifest(t *testing.T) {
	needsCluster(t)
	u := user{t: t}
	u.does("apply", "--filename=testdata/podmonitors-crd.yaml")
	u.does("wait", "--for=condition=Established", "crd/podmonitors.monitoring.coreos.com", within)
	// It is served somewhat later, and kubectl learns of it later still.
	deadline := time.Now().Add(patience)
	for u.kubectl(nil, "get", "podmonitors.monitoring.coreos.com", "--all-namespaces").code != 0 {
		if time.Now().After(deadline) {
			t.Fatalf("the API server doesn't serve a PodMonitor within %v", patience)
		}
		time.Sleep(askAgain)
	}
	// A dry run makes no namespace for what is to be in it.
	u.does("apply", "--filename=../../deploy/base/namespace.yaml")
	for name, directory := range map[string]string{
		"the base":                  "../../deploy/base",
		"the overlay for kind":      "../../deploy/overlays/kind",
		"the overlay with HTTP":     "../../deploy/overlays/http",
		"the component PodMonitor":  with(t, "../../deploy/overlays/http", "../../deploy/components/podmonitor"),
		"the component on the base": with(t, "../../deploy/base", "../../deploy/components/podmonitor"),
		"the component for CRI-O":   with(t, "../../deploy/base", "../../deploy/components/crio"),
		"the component for K3s":     with(t, "../../deploy/overlays/http", "../../deploy/components/k3s"),
	} {
		t.Run(name, func(t *testing.T) {
			u := user{t: t}
			rendered := u.does("kustomize", directory)
			a := u.kubectl(strings.NewReader(rendered), "apply", "--dry-run=server", "--validate=strict", "--filename=-")
			if a.code != 0 || a.stderr != "" {
				t.Errorf("%s\n%s", a.stderr, rendered)
			}
		})
	}
}

// with makes an overlay of a base with a component.
func with(t *testing.T, base, component string) string {
	t.Helper()
	directory := t.TempDir()
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: exectape\n" +
		fmt.Sprintf("resources: [%s]\ncomponents: [%s]\n", from(t, directory, base), from(t, directory, component))
	if err := os.WriteFile(filepath.Join(directory, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return directory
}

// from returns the way from a directory to another, as kustomize wants it.
func from(t *testing.T, directory, to string) string {
	t.Helper()
	absolute, err := filepath.Abs(to)
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(directory, absolute)
	if err != nil {
		t.Fatal(err)
	}
	return relative
}
