package player_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exectape/e2e/transcript"

	"github.com/google/go-cmp/cmp"
)

// wanted is set where what is missing is a failure.
const wanted = "EXECTAPE_TEST_PLAYER"

// patience is how long the browser has to play them all. It is long for a busy
// machine.
const patience = 5 * time.Minute

// golden has the casts that package cast writes.
const golden = "../../cast/testdata"

// ends are how the screen looks at the end of each cast, by the name of its
// story. What is not text is none to players, either.
var ends = map[string]struct {
	text string
	rows int
}{
	"minimal":      {"", 24},
	"raw-and-gaps": {"", 24},
	"terminal":     {`$ héllo "\`, 25}, // resized: it began with 43
	"identified":   {"$ hello", 24},
	"typed":        {"$ café€", 24},
	"carries":      {"café €!😀", 24},
	"binary":       {"a long enough text before it and and now a long enough text again, which is text", 24},
	// There was no terminal that would have made the carriage returns.
	"two-streams": {"out\n   err\n      out2", 24},
}

//go:embed page.html
var page []byte

// A screen is what the page tells of one cast.
type screen struct {
	Name         string
	Ended        bool
	Lines        []string
	Complaints   []string
	At, Duration float64 // in seconds
}

// text returns what is on the screen, without what is empty at its end.
func (s screen) text() string { return strings.TrimRight(strings.Join(s.Lines, "\n"), "\n") }

func TestAsciinemaPlayerShowsEveryGoldenCastToItsEnd(t *testing.T) {
	names := casts(t)
	if len(names) != 2*len(ends) {
		t.Errorf("%d casts, want %d of each version", len(names), len(ends))
	}
	seen := show(t, names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			s, ok := seen[name]
			story, _, _ := strings.Cut(name, ".")
			want, known := ends[story]
			switch {
			case !ok:
				t.Fatal("not played")
			case !known:
				t.Fatalf("nobody has said how it ends; the player shows %q", s.text())
			}
			if !s.Ended || s.At != s.Duration || s.Duration == 0 || len(s.Complaints) > 0 {
				t.Errorf("at %v s of %v s, ended: %v; it said: %q", s.At, s.Duration, s.Ended, s.Complaints)
			}
			if diff := cmp.Diff(want.text, s.text()); diff != "" || len(s.Lines) != want.rows {
				t.Errorf("%d rows, want %d; on the screen (-want +got):\n%s", len(s.Lines), want.rows, diff)
			}
		})
	}
}

// casts returns the names of all golden casts.
func casts(t *testing.T) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(golden, "*.cast"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// show has a browser play casts, and returns what it has shown, by their names.
func show(t *testing.T, names []string) map[string]screen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen, done, failed := make(chan screen), make(chan struct{}), make(chan string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	bundle := installed(t)
	for _, file := range []string{"asciinema-player.js", "asciinema-player.css"} {
		mux.HandleFunc("GET /"+file, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, filepath.Join(bundle, file)) })
	}
	mux.HandleFunc("GET /casts/{$}", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(names) })
	mux.Handle("GET /casts/", http.StripPrefix("/casts", http.FileServer(http.Dir(golden))))
	mux.HandleFunc("POST /seen", func(w http.ResponseWriter, r *http.Request) {
		var s screen
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			t.Error(err)
			return
		}
		select {
		case seen <- s:
		case <-ctx.Done():
		}
	})
	mux.HandleFunc("POST /failed", func(_ http.ResponseWriter, r *http.Request) {
		why, _ := io.ReadAll(r.Body)
		select {
		case failed <- string(why):
		default: // the first says enough
		}
	})
	mux.HandleFunc("POST /done", func(http.ResponseWriter, *http.Request) { close(done) })
	server := httptest.NewServer(mux)
	defer server.Close()

	defer browse(t, server.URL)()
	all := map[string]screen{}
	for {
		select {
		case s := <-seen:
			all[s.Name] = s
		case <-done:
			return all
		case why := <-failed:
			t.Errorf("the page: %s", why)
			return all
		case <-ctx.Done():
			t.Errorf("after %v the browser has shown %d of %d casts", patience, len(all), len(names))
			return all
		}
	}
}

// installed returns where the player is, as it goes into web pages.
func installed(t *testing.T) (bundle string) {
	t.Helper()
	bundle = filepath.Join("node_modules", "asciinema-player", "dist", "bundle")
	if _, err := os.Stat(bundle); err != nil {
		lack(t, err)
	}
	return bundle
}

// browse opens a page in Chromium, which is ended by the returned function. It
// reaches nothing but this machine.
func browse(t *testing.T, url string) (end func()) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		lack(t, err)
	}
	home, err := os.MkdirTemp("", "exectape-player-")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--headless", "--enable-logging=stderr", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir=" + home}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // which it has for no root
	}
	var said transcript.Transcript
	browser := exec.Command(chromium, append(args, url)...)
	browser.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	browser.Stdout, browser.Stderr = &said, &said
	browser.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it is many processes
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = syscall.Kill(-browser.Process.Pid, syscall.SIGKILL) // it has nothing to save
		if err := browser.Wait(); !errors.As(err, new(*exec.ExitError)) {
			t.Errorf("chromium: %v", err)
		}
		_ = os.RemoveAll(home) // one of them may still be writing there
		if t.Failed() {
			t.Logf("chromium said:\n%s", said.Bytes())
		}
	}
}

// lack skips the test for what is not installed, unless it is wanted.
func lack(t *testing.T, why error) {
	t.Helper()
	if os.Getenv(wanted) != "" || !errors.Is(why, fs.ErrNotExist) && !errors.Is(why, exec.ErrNotFound) {
		t.Fatal(why)
	}
	t.Skipf("%v; install.sh installs it", why)
}
