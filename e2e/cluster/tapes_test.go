package cluster_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"exectape/session"

	"exectape/e2e/cluster"
)

// tapes are the casts that are made from some time on.
type tapes struct {
	t    *testing.T
	seen map[string]bool // ids
}

func tapesFromNowOn(t *testing.T) *tapes {
	t.Helper()
	all := &tapes{t, make(map[string]bool)}
	for _, s := range all.list() {
		all.seen[s.ID] = true
	}
	return all
}

// list returns what there is to say of every cast, live ones too, in the order
// of their beginnings.
func (all *tapes) list() (list []session.Summary) {
	all.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(exectape(all.t, "ls", "--json", cluster.CastDirectory)))
	for dec.More() {
		var s session.Summary
		if err := dec.Decode(&s); err != nil {
			all.t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// askAgain is how long to wait before looking for a cast once more.
const askAgain = 50 * time.Millisecond

// next waits for all sessions to end, and returns the first that is not seen:
// the beginning of one that goes on is known to the second only.
func (all *tapes) next() tape {
	all.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(askAgain) {
		list := all.list()
		first := slices.IndexFunc(list, func(s session.Summary) bool { return !all.seen[s.ID] })
		if first < 0 || slices.ContainsFunc(list, func(s session.Summary) bool { return s.End.IsZero() }) {
			continue
		}
		s := list[first]
		all.seen[s.ID] = true
		return tape{all.t, s}
	}
	all.t.Fatal("no session was recorded, or one goes on")
	return tape{}
}

// none fails the test if there is another.
func (all *tapes) none() {
	all.t.Helper()
	for _, s := range all.list() {
		if !all.seen[s.ID] {
			all.t.Errorf("there is another cast, of session %+v", s)
		}
	}
}

// A tape is a finished cast.
type tape struct {
	t *testing.T
	session.Summary
}

// is fails the test if the cast isn't what is wanted.
func (c tape) is(w want) {
	c.t.Helper()
	ended := c.ExitCode != nil && *c.ExitCode == w.exit || w.file != nil && c.EndReason == session.EndClient
	if c.Verb != w.verb || !ended || len(c.Gaps) > 0 {
		c.t.Errorf("the summary is %+v with exit code %v, want %s with exit code %d", c.Summary, c.ExitCode, w.verb, w.exit)
	}
	c.has("stdout", c.Streams.Stdout, w.stdout)
	c.has("stderr", c.Streams.Stderr, w.stderr)
	if w.file != nil {
		c.hasFile(w.file)
	}
	if protocol := cmp.Or(w.protocol, "spdy"); c.Protocol != protocol || c.Subprotocol != "v4.channel.k8s.io" {
		c.t.Errorf("the session's protocol is %s, %s; want %s, v4.channel.k8s.io", c.Protocol, c.Subprotocol, protocol)
	}
	c.isOf(w)
	if got := c.size(); w.size != "" && got != w.size {
		c.t.Errorf("the terminal's size is %s, want %s", got, w.size)
	}
}

// has fails the test if the cast hasn't these bytes of a stream, or the summary
// doesn't say how many they are. Nil stands for any.
func (c tape) has(stream string, count *session.Count, want []byte) {
	c.t.Helper()
	if want == nil {
		return
	}
	if got := exectape(c.t, "cat", "--stream="+stream, c.ID); !bytes.Equal(got, want) {
		c.t.Errorf("recorded on %s: %d bytes, %.200q; want %d, %.200q", stream, len(got), got, len(want), want)
	}
	if count == nil || count.Bytes != int64(len(want)) {
		c.t.Errorf("the summary has for %s %+v, want %d bytes", stream, count, len(want))
	}
}

// hasFile fails the test unless the cast's stdout is a tar archive of one such
// file.
func (c tape) hasFile(want []byte) {
	c.t.Helper()
	recorded := exectape(c.t, "cat", "--stream=stdout", c.ID)
	archive := tar.NewReader(bytes.NewReader(recorded))
	if _, err := archive.Next(); err != nil {
		c.t.Fatalf("%d bytes are recorded on stdout: %v", len(recorded), err)
	}
	if got, err := io.ReadAll(archive); err != nil || !bytes.Equal(got, want) {
		c.t.Errorf("%d bytes of a file are recorded, which are not the %d that were copied: %v", len(got), len(want), err)
	}
	if count := c.Streams.Stdout; count == nil || count.Bytes != int64(len(recorded)) {
		c.t.Errorf("the summary has for stdout %+v, want %d bytes", count, len(recorded))
	}
}

// isOf fails the test if it isn't known as well as can be whose the session is.
func (c tape) isOf(w want) {
	c.t.Helper()
	i, pod := c.Identity, cmp.Or(w.pod, "web")
	confidences := []session.Confidence{session.ConfidenceExact, session.ConfidenceAmbiguous}
	switch {
	case w.certain:
		confidences = confidences[:1]
	case w.verb == "attach": // which leaves no trace
		confidences = []session.Confidence{session.ConfidenceLikely, session.ConfidenceAmbiguous}
	}
	candidates := i.Candidates
	if i.Names() {
		candidates = []session.Candidate{{Namespace: i.Namespace, Pod: i.Pod, Container: i.Container}}
	}
	if !slices.Contains(confidences, i.Confidence) || !slices.ContainsFunc(candidates, func(c session.Candidate) bool {
		return c.Namespace == "shop" && c.Pod == pod && (c.Container == "app" || w.verb == "attach")
	}) {
		c.t.Errorf("it is said to be of %+v; want pod %s, %v", i, pod, confidences)
	}
}

// size is what the header says.
func (c tape) size() string {
	c.t.Helper()
	var header struct{ Width, Height int }
	text := onNode(c.t, "sh", "-c", "head -n 1 "+cluster.CastDirectory+"/*_"+c.ID+".cast")
	if err := json.Unmarshal(text, &header); err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("%dx%d", header.Width, header.Height)
}

// exectape runs one of the commands that read casts, on the node.
func exectape(t *testing.T, args ...string) []byte {
	t.Helper()
	return onNode(t, kubernetes.Exectape(), args...)
}

// onNode runs what must succeed on the node, and returns what it prints.
func onNode(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := kubernetes.OnNode(ctx, program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, &said)
	}
	return out
}
