package cluster_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"exectape/e2e/cluster"
	"exectape/e2e/terminal"
	"exectape/e2e/transcript"
)

// A person sits at a terminal in which kubectl runs.
type person struct {
	t      *testing.T
	cmd    *exec.Cmd
	tty    *os.File // the person's end
	screen transcript.Transcript
	seen   int // how much of it was waited for
	read   chan struct{}
}

func TestTheCastOfATerminalIsWhatThePersonAtItSaw(t *testing.T) {
	needsCluster(t)
	install(t)
	for _, u := range []user{{}, {spdy: true}} {
		t.Run(u.protocol(), func(t *testing.T) {
			u.t = t
			all := tapesFromNowOn(t)
			p := u.sitsDown("exec", "-it", "web", "--container=app", "--", "sh")
			p.sees("# ")
			p.waitsForSize("43 132")
			p.resizes(101, 31)
			p.waitsForSize("31 101")
			p.types("exit\n") // and kubectl adds nothing to it
			p.leaves()
			c := all.next()
			c.is(want{verb: "exec", size: "132x43", certain: true, stdout: p.screen.Bytes()})
			if lines := onNode(t, "sh", "-c", "cat "+cluster.CastDirectory+"/*_"+c.ID+".cast"); !bytes.Contains(lines, []byte(`"r", "101x31"]`)) {
				t.Errorf("the cast has no change of size to 101x31:\n%s", lines)
			}
		})
	}
}

// attaches are the ways by which people attach to a shell in a pod.
var attaches = map[string]func(pod string) (args []string){
	"attach": func(pod string) []string { return []string{"attach", "-it", "--quiet", pod} },
	"debug": func(pod string) []string {
		return debug(pod, "--quiet")
	},
	"run": func(pod string) []string { return aPod(pod, "--rm", "--restart=Never", "--quiet") },
}

// debug has kubectl say nothing of the profile that an older one takes by itself.
func debug(pod string, options ...string) []string {
	args := []string{"debug", "-it", "--profile=general", pod, "--image=" + busybox, "--image-pull-policy=Never"}
	return append(append(args, options...), "--", "sh")
}

// Each person leaves while the shell goes on: what a container says last, an
// attach may miss, with or without exectape.
func TestTheCastOfAnAttachIsWhatThePersonAtItSaw(t *testing.T) {
	needsCluster(t)
	install(t)
	u := user{t: t}
	var pods, there []string
	for way := range attaches {
		for _, u := range []user{{t: t}, {t: t, spdy: true}} {
			pod := way + "-" + strings.ToLower(u.protocol())
			pods = append(pods, pod)
			if way != "run" {
				there = append(there, "pod/"+pod)
				u.does(aPod(pod, "--attach=false", "--restart=Never")...)
			}
		}
	}
	defer u.does(append([]string{"delete", "--ignore-not-found", "--now", "pod"}, pods...)...)
	u.does(append([]string{"wait", "--for=condition=Ready", within}, there...)...)

	all := tapesFromNowOn(t)
	people := make(map[string]*person)
	for _, pod := range pods {
		way, protocol, _ := strings.Cut(pod, "-")
		people[pod] = user{t, protocol == "spdy"}.sitsDown(attaches[way](pod)...)
		people[pod].types(untilSize("43 132") + "\n")
	}
	for pod, p := range people {
		p.sees("\r\n43 132\r\n")
		p.types("echo att''ached to " + pod + "; exec sleep 1000\n")
		p.sees("attached to " + pod + "\r\n")
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.leaves()
	}
	for range people {
		c := all.next()
		shown := exectape(t, "cat", "--stream=stdout", c.ID)
		_, pod, _ := strings.Cut(strings.TrimSuffix(string(shown), "\r\n"), "\r\nattached to ")
		p := people[pod]
		if p == nil || c.Verb != "attach" || len(c.Gaps) > 0 {
			t.Errorf("the summary is %+v, want an attach without gaps, of another session than that in which is shown %q", c.Summary, shown)
			continue
		}
		delete(people, pod)
		// Until kubectl has the terminal its way, that itself shows what is typed.
		saw, _ := bytes.CutPrefix(p.screen.Bytes(), []byte(untilSize("43 132")+"\r\n"))
		if strings.HasPrefix(pod, "run") {
			saw = withoutLog(saw, u.does("logs", pod), len(shown))
		}
		c.has("stdout", c.Streams.Stdout, saw)
	}
}

// withoutLog is what a person saw, but for what kubectl run has shown of the
// pod's log before it attached to it.
func withoutLog(saw []byte, log string, attached int) []byte {
	before := max(0, len(saw)-attached)
	if strings.HasPrefix(strings.ReplaceAll(log, "\n", "\r\n"), string(saw[:before])) {
		return saw[before:]
	}
	return saw
}

// sitsDown runs kubectl in a terminal of 132 columns and 43 rows.
func (u user) sitsDown(args ...string) *person {
	u.t.Helper()
	t := u.t
	ours, theirs, err := terminal.Open()
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, cmd: u.command(args...), tty: ours, read: make(chan struct{})}
	p.resizes(132, 43)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs, theirs, theirs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = p.cmd.Start()
	_ = theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.read)
		buffer := make([]byte, 4096)
		for {
			// It fails when the last process has closed the terminal.
			n, err := ours.Read(buffer)
			_, _ = p.screen.Write(buffer[:n])
			if err != nil {
				_ = p.screen.Close()
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test failed
		_ = p.cmd.Wait()
		_ = ours.Close()
		<-p.read
	})
	return p
}

func (p *person) resizes(cols, rows uint16) {
	p.t.Helper()
	if err := terminal.Resize(p.tty, cols, rows); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) types(text string) {
	p.t.Helper()
	if _, err := p.tty.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits until text is on the screen, behind what was waited for before.
func (p *person) sees(text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	err := p.screen.Await(ctx, func(all []byte) bool {
		at := bytes.Index(all[p.seen:], []byte(text))
		if at < 0 {
			return false
		}
		p.seen += at + len(text)
		return true
	})
	if err != nil {
		p.t.Fatalf("%q is not on the screen: %v; there is %q", text, err, p.screen.Bytes()[p.seen:])
	}
}

// leaves waits for kubectl's end and returns its exit code.
func (p *person) leaves() int {
	p.t.Helper()
	<-p.read
	_ = p.cmd.Wait() // the code says how it went
	return p.cmd.ProcessState.ExitCode()
}
