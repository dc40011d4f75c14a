package e2e_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/e2e/tap"
	"exectape/session"
)

// A trial is a session of a hostile client. It is held once without exectape,
// and once through it with each policy.
type trial struct {
	name    string
	process kubelet.Process // which answers in the end, if it still hears
	play    func(*attacker)

	// deaf says that containerd hears nothing of what the client says next.
	deaf bool

	// why is a part of what exectape says against the client's bytes. It is
	// empty where they are decoded, however odd they are.
	why string

	// untold says that the client leaves exectape no place to tell it why.
	untold bool

	// mayBeUntold says that containerd ends the session, too, and that it is a
	// race who is first.
	mayBeUntold bool

	// heavy says that the trial takes long, and that the policy can't matter: it
	// is held with one.
	heavy bool

	// refused says that there is no such session with the policy closed.
	refused bool

	// only is the beginning of the name and version of the containerd that this
	// is about, if not all.
	only string

	// check looks at the recording, if there is more to see in it.
	check func(*testing.T, recording)
}

// heard is what a trial's process answers to "go".
const heard = "got go"

// converse says something before and something after it is spoken to.
var converse = kubelet.Process{
	Command: shell(`echo ready; read line; echo "got $line"; echo err >&2; exit 3`),
	Stdin:   true,
}

// A testimony is what all saw of one session: bytes of the connection, of which
// those that the server sent begin with HTTP.
type testimony struct {
	sent, received    []byte // by the client
	reached, answered []byte // at containerd
	upgrade           int    // how much of what the server sent is HTTP
	errorStream       uint32 // where the server tells the outcome
}

// An utterance is what the server wrote on one stream in one frame.
type utterance struct {
	stream  uint32
	payload []byte
	frame   []byte // with the payload
}

// A dialect is what there is to know of a protocol.
type dialect struct {
	utterances func(wire []byte) []utterance
	goodbye    []byte // what exectape says behind its last words
}

// testTrials holds trials, and holds exectape to what it promises of each:
//
//   - what reaches containerd is what the client sent, and what the client
//     receives is what containerd sent;
//   - of that, each byte on a stream is in the recording;
//   - where containerd lets a session live, so does exectape, unless it was told
//     to end what it can't decode, and then it says so to the client.
func testTrials(t *testing.T, d dialect, trials []trial) {
	t.Helper()
	needsNode(t)
	trials = slices.DeleteFunc(trials, func(test trial) bool { return !strings.HasPrefix(runtime.Version, test.only) })
	front, err := tap.Listen(streamingServer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })

	without := make(map[string]map[uint32]string)
	t.Run("without exectape", func(t *testing.T) {
		for _, test := range trials {
			t.Run(test.name, func(t *testing.T) {
				got := test.hold(t, front)
				without[test.name] = d.said(got)
				if hears := hears(without[test.name]); hears == test.deaf {
					t.Errorf("containerd heard the client to the end: %v, want %v", hears, !test.deaf)
				}
			})
		}
	})
	for _, policy := range []session.Policy{session.FailOpen, session.FailClosed} {
		t.Run("policy "+policy.String(), func(t *testing.T) {
			// With less garbage around, what is measured is nearer to what is held.
			e := start(t, "GOGC=25", "EXECTAPE_IPTABLES=nft", "EXECTAPE_TARGETS="+front.Addr().String(), "EXECTAPE_FAIL_POLICY="+policy.String())
			for _, test := range trials {
				if (test.heavy || test.refused) && policy == session.FailClosed {
					continue
				}
				t.Run(test.name, func(t *testing.T) {
					before := e.on(t).memory()
					got := test.hold(t, front)
					r := e.on(t).recorded()
					if test.why != "" && policy == session.FailClosed {
						got.wantEnded(t, d, r, test)
					} else {
						got.wantTransparent(t)
						if !test.deaf { // else what it still says is a race that it runs with itself
							wantSameSaid(t, d.said(got), without[test.name])
						}
						r.wantDecoded(got, test)
						if rest := d.unaccounted(r, got); len(rest) > 0 {
							t.Errorf("the recording has more than the client got: %q", rest)
						}
					}
					head := max(0, bytes.Index(got.sent, []byte("\r\n\r\n")))
					if grown := e.on(t).peakMemory() - before; grown > muchMemory+copies*int64(head) {
						t.Errorf("exectape took %d MiB more for this session than it had", grown>>20)
					}
					if test.check != nil {
						test.check(t, r)
					}
				})
			}
		})
	}
}

// hold holds a trial.
func (test trial) hold(t *testing.T, front *tap.Tap) testimony {
	t.Helper()
	ctx := patiently(t)
	u, err := app.Exec(ctx, test.process)
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{path: u.Path, wire: &keptConn{TCPConn: byNFT.mustDial(t, front.Addr())}, front: front, left: make(chan error, 1)}
	a.talker = talk(t, a.wire)
	defer func() {
		if t.Failed() { // lest the next attacker take this line for its own
			_ = a.line().Close()
		}
	}()
	test.play(a)
	line := a.line()
	defer line.Close()
	if err := line.Wait(ctx); err != nil {
		t.Fatalf("the connection to containerd never ended: %v", err)
	}
	return testimony{
		sent: a.wire.sent.Bytes(), received: a.wire.received.Bytes(),
		reached: line.FromClient.Bytes(), answered: line.FromServer.Bytes(),
		upgrade: a.upgrade, errorStream: a.errorStream,
	}
}

// muchMemory is what no session may cost beside its head, which is kept whole, in
// a buffer that doubles, and so in copies until the collector comes. Under the
// race detector each takes several times its size.
const (
	muchMemory = 32 << 20
	copies     = 16
)

// memory returns how much memory exectape has, from when on peakMemory counts.
func (e *exectape) memory() int64 {
	e.t.Helper()
	if err := e.running.ForgetPeak(); err != nil {
		e.t.Fatal(err)
	}
	return e.peakMemory()
}

// peakMemory returns the most memory that exectape had.
func (e *exectape) peakMemory() int64 {
	e.t.Helper()
	peak, err := e.running.PeakMemory()
	if err != nil {
		e.t.Fatal(err)
	}
	return peak
}

// descriptors returns how many file descriptors exectape has.
func (e *exectape) descriptors() int {
	e.t.Helper()
	n, err := e.running.Descriptors()
	if err != nil {
		e.t.Fatal(err)
	}
	return n
}

// wantTransparent fails the test unless both sides got the very bytes of the
// other.
func (got testimony) wantTransparent(t *testing.T) {
	t.Helper()
	wantSame(t, "what reached containerd", got.reached, got.sent)
	wantSame(t, "what the client received", got.received, got.answered)
}

// wantSameSaid fails the test unless the server said on each stream what it says
// without exectape.
func wantSameSaid(t *testing.T, got, want map[uint32]string) {
	t.Helper()
	for _, stream := range slices.Sorted(maps.Keys(want)) {
		wantSame(t, fmt.Sprintf("what containerd said on stream %d", stream), []byte(got[stream]), []byte(want[stream]))
	}
	if len(got) != len(want) {
		t.Errorf("containerd spoke on %d streams, want %d", len(got), len(want))
	}
}

// hears reports whether a process that said this has answered to "go".
func hears(said map[uint32]string) bool {
	for _, all := range said {
		if strings.Contains(all, heard) {
			return true
		}
	}
	return false
}

// said returns all that the server said on each stream.
func (d dialect) said(got testimony) map[uint32]string {
	texts := make(map[uint32][]byte)
	for _, u := range d.utterances(got.received[got.upgrade:]) {
		texts[u.stream] = append(texts[u.stream], u.payload...)
	}
	all := make(map[uint32]string)
	for stream, text := range texts {
		all[stream] = string(text)
	}
	return all
}

// wantDecoded fails the test unless the recording says what exectape made of
// the client's bytes.
func (r recording) wantDecoded(got testimony, test trial) {
	t := r.exectape.t
	t.Helper()
	raw := r.raw("client")
	if test.why == "" {
		wantSame(t, "the client's bytes that were not decoded", raw, nil)
		wantSame(t, "the server's bytes that were not decoded", r.raw("server"), nil)
		return
	}
	if len(raw) == 0 || !bytes.HasSuffix(got.sent, raw) {
		t.Errorf("the client's bytes that were kept raw: %.1000q; want what it sent from some frame on", raw)
	}
	said := r.exectape.logs("session kept raw from here on")
	if reason := said.Text("error"); !strings.Contains(reason, test.why) {
		t.Errorf("the log says of these bytes: %q, want a word about %q", reason, test.why)
	}
}

// raw returns the bytes of one side that were not decoded, as exectape gives them
// back. To look through a long recording for none takes it seconds, under the
// race detector.
func (r recording) raw(side string) []byte {
	r.exectape.t.Helper()
	if len(r.tape().all("w")) == 0 {
		return nil
	}
	return r.exectape.run("cat", "--wire", side, r.file)
}

// untold is what a summary says of a farewell for which there was no place.
const untold = " (the client could not be told)"

// wantEnded fails the test unless exectape ended the session and told the
// client so.
func (got testimony) wantEnded(t *testing.T, d dialect, r recording, test trial) {
	t.Helper()
	if r.EndReason != session.EndByUs || !strings.Contains(r.EndDetail, test.why) {
		t.Errorf("the session ended as %q (%s), want %q and a word about %q", r.EndReason, r.EndDetail, session.EndByUs, test.why)
	}
	wantBegins(t, "what reached containerd", got.sent, got.reached)
	d.unaccounted(r, got)
	all := d.utterances(got.received[got.upgrade:])
	told := !strings.HasSuffix(r.EndDetail, untold)
	if test.untold || test.mayBeUntold && !told {
		if told {
			t.Errorf("the summary says %q, want it to end in %q", r.EndDetail, untold)
		}
		wantBegins(t, "what the client received", got.answered, got.received)
		return
	}
	var farewell utterance
	for _, u := range all {
		if u.stream == got.errorStream {
			farewell = u
		}
	}
	if !bytes.Contains(farewell.payload, []byte(r.EndDetail)) {
		t.Errorf("the client was told %q, want %q", farewell.payload, r.EndDetail)
	}
	before, ends := bytes.CutSuffix(got.received, slices.Concat(farewell.frame, d.goodbye))
	if !ends {
		t.Errorf("these are not exectape's last words: %.1000q", got.received)
	}
	wantBegins(t, "what the client received before exectape's words", got.answered, before)
}

// unaccounted fails the test if the client got a byte on a stream, the error
// stream aside, that the recording does not have in its place. It returns what
// more the recording has of stdout and stderr.
func (d dialect) unaccounted(r recording, got testimony) (rest []byte) {
	t := r.exectape.t
	t.Helper()
	raw, stdout, stderr := r.raw("server"), r.cat("stdout"), r.cat("stderr")
	for _, u := range d.utterances(got.received[got.upgrade:]) {
		if u.stream == got.errorStream || len(u.payload) == 0 {
			continue
		}
		if rest, ok := bytes.CutPrefix(stdout, u.payload); ok {
			stdout = rest
		} else if rest, ok := bytes.CutPrefix(stderr, u.payload); ok {
			stderr = rest
		} else if _, rest, ok := bytes.Cut(raw, u.frame); ok {
			raw = rest
		} else {
			t.Errorf("stream %d: the client got %.1000q, which is not recorded", u.stream, u.payload)
		}
	}
	return append(stdout, stderr...)
}
