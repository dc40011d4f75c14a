package cast_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldenCasts(t *testing.T) {
	for name, s := range stories {
		for _, version := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s v%d", name, version), func(t *testing.T) {
				file := filepath.Join("testdata", fmt.Sprintf("%s.v%d.cast", strings.ReplaceAll(name, " ", "-"), version))
				got := write(version, s)
				if *update {
					if err := os.WriteFile(file, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
					t.Errorf("(-want +got); -update if that is right:\n%s", diff)
				}
				exact(t, file, s)
			})
		}
	}
}

// exact checks that a cast says of every stream just what the story does.
func exact(t *testing.T, file string, s story) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, events := decoded(t, b)
	want := map[session.Stream]string{}
	for _, ev := range s {
		if ev.Kind == session.Output || ev.Kind == session.Input {
			want[ev.Stream] += string(ev.Data)
		}
	}
	if diff := cmp.Diff(want, streams(t, events)); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
}
