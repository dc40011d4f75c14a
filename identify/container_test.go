package identify

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestABundleThatCannotBeReadIsReadAgainOnlyWhenItHasChanged(t *testing.T) {
	bundles := t.TempDir()
	path := filepath.Join(bundles, "x", "config.json")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	const good = `{"annotations":{"io.kubernetes.cri.container-name":"app"}}`
	first := time.Now().Add(-time.Hour)
	c := &container{id: "x"}
	if err := (&index{bundles: bundles}).describe(c); err == nil {
		t.Fatal("there is none, and it is read")
	}
	write(good[:len(good)-1]+" ", first) // as long as it should be, and not whole
	if err := (&index{bundles: bundles}).describe(c); err == nil {
		t.Fatal("what is not whole is read")
	}
	write(good, first) // nothing shows that it is another
	if err := (&index{bundles: bundles}).describe(c); err == nil {
		t.Error("it is read again, though it has not changed")
	}
	write(good, first.Add(time.Millisecond))
	if err := (&index{bundles: bundles}).describe(c); err != nil || c.name != "app" {
		t.Errorf("when it has changed its container is called %q, %v; want app", c.name, err)
	}
}
