package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exectape/session"

	"github.com/google/go-cmp/cmp"
)

func TestASessionSaysWhichProcessOpenedIt(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	// The kubelet of these tests is this process.
	us := &session.Peer{PID: os.Getpid(), Name: strings.TrimSpace(string(comm)), Executable: executable}
	byEachWay(t, func(t *testing.T, w way, e *exectape) {
		for range 2 { // the second time it is known
			u := run(t, w.kubelet, app, cat)
			eventually(t, "the session says who opened it", func(context.Context) bool {
				u.types("hello\n")
				u.sees("hello\n")
				live := e.sessions()
				return len(live) == 1 && cmp.Equal(us, live[0].Peer)
			})
			u.endsStdin()
			u.leaves()
			ended := e.logs("session ended")
			if pid := fmt.Sprint(float64(us.PID)); ended.Text("peer") != us.Name || ended.Text("peer_pid") != pid {
				t.Errorf("the log says it was %q, process %s; want %q, %s", ended.Text("peer"), ended.Text("peer_pid"), us.Name, pid)
			}
			r := e.recording(filepath.Join(e.casts, ended.Text("cast")))
			if diff := cmp.Diff(us, r.Peer); diff != "" {
				t.Errorf("its summary (-want +got):\n%s", diff)
			}
		}
	})
}
