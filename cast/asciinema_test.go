package cast_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asciinema is what people play casts with.
func TestAsciinemaPlaysEveryGoldenCastOfV2(t *testing.T) {
	asciinema, err := exec.LookPath("asciinema")
	if err != nil {
		if os.Getenv("EXECTAPE_TEST_ROOT") != "" {
			t.Fatal(err)
		}
		t.Skip("asciinema is not installed: apt-get install asciinema")
	}
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".v2.cast")
			_, events := decoded(t, write(2, s))
			var want strings.Builder
			for _, ev := range events {
				if ev.Code == "o" {
					want.WriteString(ev.Data)
				}
			}
			// It wants a terminal, which script makes.
			for _, command := range []string{"cat", "play --speed 100"} {
				cmd := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", asciinema+" "+command+" "+file, "/dev/null")
				cmd.Env = append(os.Environ(), "ASCIINEMA_CONFIG_HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
				got, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("asciinema %s: %v\n%s", command, err, got)
				}
				if diff := cmp.Diff(want.String(), string(got)); diff != "" {
					t.Errorf("asciinema %s (-want +got):\n%s", command, diff)
				}
			}
		})
	}
}
