package cluster_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAPortForwardPassesAndIsNotRecorded(t *testing.T) {
	needsCluster(t)
	install(t)
	for _, u := range []user{{t: t}, {t: t, spdy: true}} {
		t.Run(u.protocol(), func(t *testing.T) {
			u.t = t
			all := tapesFromNowOn(t)
			forward := u.command("port-forward", "pod/web", ":8080")
			said, err := forward.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := forward.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = forward.Process.Kill()
				_ = forward.Wait()
			}()
			line, err := bufio.NewReader(said).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			address, _, _ := strings.Cut(strings.TrimPrefix(line, "Forwarding from "), " ")
			for range 10 {
				if got := get(t, "http://"+address+"/index.html"); got != "hello from web\n" {
					t.Errorf("the answer through %s is %q", address, got)
				}
			}
			all.none()
		})
	}
}

// get returns what a server answers.
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
