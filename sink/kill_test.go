package sink_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"exectape/session"
	"exectape/sink"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// writerDir is set in the environment of a test process that is a recorder,
// and is to be killed.
const writerDir = "EXECTAPE_TEST_WRITER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		beRecorder(dir)
	}
	goleak.VerifyTestMain(m)
}

// beRecorder records pieces that end within runes, on both streams in turn, and
// says of each when it is committed. It never ends by itself.
func beRecorder(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	d, err := sink.OpenDir(dir, sink.Options{Version: 2}, zap.NewNop())
	fail(err)
	r, err := d.Open(newInfo("7f3a9c01"))
	fail(err)
	for i := 0; ; i++ {
		e := pieces(i)
		fail(r.Record(e))
		fail(r.Commit(nil))
		fmt.Println(i)
	}
}

// pieces cuts "é€😀" into single bytes, and gives them to both streams in turn.
func pieces(i int) session.Event {
	const text = "é€\U0001f600\n"
	stream := []session.Stream{session.Stdout, session.Stderr}[i%2]
	return output(stream, text[i/2%len(text):][:1])
}

func TestNothingThatWasCommittedIsLostToAKill(t *testing.T) {
	for committed := range 12 {
		t.Run(fmt.Sprintf("after %d pieces", committed+1), func(t *testing.T) {
			dir := t.TempDir()
			recorder := exec.CommandContext(t.Context(), os.Args[0])
			recorder.Env = append(os.Environ(), writerDir+"="+dir)
			recorder.Stderr = os.Stderr
			said, err := recorder.StdoutPipe()
			must(t, err)
			must(t, recorder.Start())
			lines := bufio.NewScanner(said)
			last := -1
			for last < committed && lines.Scan() {
				last++
			}
			must(t, recorder.Process.Signal(syscall.SIGKILL))
			for lines.Scan() { // what it had said before the signal came
				last++
			}
			_ = recorder.Wait()

			must(t, openDir(t, dir).Recover(t.Context()))
			e := only(t, dir)
			if e.Live || e.Summary.EndReason != session.EndInterrupted || e.Summary.ID != "7f3a9c01" {
				t.Errorf("recovered as %+v", e)
			}
			want := map[session.Stream]string{}
			for i := range last + 1 {
				want[pieces(i).Stream] += string(pieces(i).Data)
			}
			for stream, got := range streams(t, e.Path) {
				// One piece more may have been written and not said.
				if !strings.HasPrefix(got, want[stream]) || len(got) > len(want[stream])+1 {
					t.Errorf("%v: %q, want %q", stream, got, want[stream])
				}
			}
		})
	}
}
