package cast_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asciinema is what people play casts with. Debian's, 2.2, reads no v3; what
// plays that is asciinema 3 and its player for browsers.
func TestAsciinemaPlaysEveryGoldenCastOfV2(t *testing.T) {
	asciinema, err := exec.LookPath("asciinema")
	if err != nil {
		if os.Getenv("EXECTAPE_TEST_ROOT") != "" {
			t.Fatal(err)
		}
		t.Skip("asciinema is not installed: apt-get install asciinema")
	}
	files, err := filepath.Glob("testdata/*.v2.cast")
	if err != nil || len(files) < len(stories) {
		t.Fatalf("%d golden casts of %d stories, %v", len(files), len(stories), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, events := decoded(t, b)
			var want strings.Builder
			for _, ev := range events {
				if ev.Code == "o" {
					want.WriteString(ev.Data)
				}
			}
			// cat converts it to what a terminal gets, play shows that in time.
			for _, command := range []string{"cat", "play --speed 100"} {
				if diff := cmp.Diff(want.String(), runAsciinema(t, asciinema+" "+command+" "+file)); diff != "" {
					t.Errorf("asciinema %s (-want +got):\n%s", command, diff)
				}
			}
		})
	}
}

// runAsciinema gives a command the terminal that it wants, which script makes,
// and returns what it shows there.
func runAsciinema(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", command, "/dev/null")
	cmd.Env = append(os.Environ(), "ASCIINEMA_CONFIG_HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	shown, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, shown)
	}
	return string(shown)
}
