package e2e_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"exectape/e2e/kubelet"
	"exectape/session/sessiontest/hostile"
)

// The ids that a client gives its streams, as kubectl does.
const (
	errorID = 1 + 2*iota
	stdinID
	stdoutID
	stderrID // or the resize stream's
	freeID   // of no stream that is opened as usual
)

func TestHostileSPDY(t *testing.T) {
	bomb()
	var trials []trial
	for _, c := range spdyClients {
		trials = append(trials, c.trial())
	}
	testTrials(t, spdyDialect, trials)
}

// A spdyClient asks for its session, opens its streams, waits for the process
// to be ready, does something, speaks to the process, and leaves when the server
// says so.
type spdyClient struct {
	name         string
	ask          func(*attacker) // as a kubelet does, if nil
	open         func(*attacker) // as kubectl does, if nil
	then         func(*attacker) // nothing, if nil
	process      kubelet.Process // converse, if it has no command
	play         func(*attacker) // all of it, if not nil
	deaf, untold bool            // as a trial's, and so are these
	refused      bool
	why, only    string
}

func (c spdyClient) trial() trial {
	test := trial{name: c.name, process: c.process, play: c.play, deaf: c.deaf, untold: c.untold, refused: c.refused, why: c.why, only: c.only}
	if c.process.Command == nil {
		test.process = converse
	}
	if c.ask == nil {
		c.ask = (*attacker).asksForSPDY
	}
	if c.open == nil {
		c.open = usual
	}
	if c.play == nil {
		test.play = func(a *attacker) {
			a.errorStream, a.stdin = errorID, stdinID
			c.ask(a)
			c.open(a)
			a.sees(spdyDialect, "ready")
			if c.then != nil {
				c.then(a)
			}
			a.sends(hostile.Data(a.stdin, 0, []byte("go\n")))
			a.leaves(saidGoAway)
		}
	}
	return test
}

// spdyClients are what clients can do over SPDY.
var spdyClients = []spdyClient{
	{name: "as kubectl does"},

	// The streams' ids.
	{name: "ids that need 8 bits and more", open: ids(123, 125, 127, 129)},
	{name: "even ids, beyond 7 bits", open: ids(124, 126, 128, 130)},
	{name: "even ids", open: ids(2, 4, 6, 8)},
	{name: "the largest id", open: ids(1, 3, 5, 1<<31-1)},
	{name: "an id with its top bit set is refused", then: says(func(b *hostile.Blocks) []byte {
		return slices.Concat(b.Open(1<<31|stdoutID, "stdin"), b.Open(1<<31|freeID, "stdout"))
	})},
	{name: "an id is opened twice", then: says(func(b *hostile.Blocks) []byte {
		return slices.Concat(b.Open(stdoutID, "stdin"), b.Open(stdinID, "stdout"))
	})},
	{name: "a second stdout, before the session began", open: func(a *attacker) {
		a.opens(errorID, "error")
		a.opens(stdinID, "stdin")
		a.opens(stdoutID, "stdout")
		a.opens(stderrID, "stdout") // and no stderr
	}},
	{name: "a second stdout, after the session began", then: says(func(b *hostile.Blocks) []byte {
		return b.Open(freeID, "stdout")
	})},

	// What stands before the frame that opens stdout.
	{name: "stdout between HEADERS and SYN_REPLY", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return slices.Concat(
			hostile.WithBlock(hostile.Headers, neverID, b.Store(hostile.Pairs("a", "b"))),
			b.Open(stdoutID, "stdout"),
			hostile.WithBlock(hostile.SynReply, neverID, b.Store(hostile.Pairs("a", "b"))))
	})},
	{name: "stdout inside what a RST_STREAM claims", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return slices.Concat(hostile.Claiming(5000, hostile.Control(hostile.RstStream, neverID, 1)), b.Open(stdoutID, "stdout"))
	})},
	{name: "stdout behind a PING of length 0", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return slices.Concat(hostile.Claiming(0, hostile.Control(hostile.Ping, 1)), b.Open(stdoutID, "stdout"))
	})},
	{name: "stdout behind SETTINGS", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return slices.Concat(hostile.Control(hostile.Settings, 2, 1, 2, 3, 4), b.Open(stdoutID, "stdout"))
	})},
	{name: "stdout inside what SETTINGS claim", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return slices.Concat(hostile.Claiming(5000, hostile.Control(hostile.Settings, 1, 2, 3)), b.Open(stdoutID, "stdout"))
	})},
	{name: "stdout in version 77", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return hostile.Version(77, b.Open(stdoutID, "stdout"))
	})},

	// The headers by which stdout is opened.
	{name: "headers smuggled in another frame's block", open: stdoutBy(func(b *hostile.Blocks) []byte {
		mule := hostile.WithBlock(hostile.Headers, neverID, b.Store(slices.Concat(hostile.Pairs("a", "b"), hostile.Pairs("streamtype", "stdout"))))
		return slices.Concat(mule, hostile.Syn(stdoutID, nil))
	})},
	{name: "a name with a capital", deaf: true, why: "lower case", then: says(func(b *hostile.Blocks) []byte {
		return hostile.Syn(freeID, b.Store(hostile.Pairs("Streamtype", "stdout")))
	})},
	{name: "a value with a capital is none of the types", then: says(func(b *hostile.Blocks) []byte {
		return b.Open(freeID, "Stdout")
	})},
	{name: "several values, of which the first counts", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return b.Open(stdoutID, "stdout\x00stdin")
	})},
	{name: "two headers of one name, of which the first counts", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return hostile.Syn(stdoutID, b.Store(hostile.Pairs("streamtype", "stdout", "streamtype", "stdin")))
	})},
	{name: "1000 headers", open: stdoutBy(func(b *hostile.Blocks) []byte {
		return hostile.Syn(stdoutID, b.Store(hostile.Pairs(append(many(999), "streamtype", "stdout")...)))
	})},
	{name: "1001 headers, which older servers read", only: "containerd 1.6.", why: "1001 headers", then: says(tooMany)},
	{name: "1001 headers", only: "containerd 2.", deaf: true, why: "1001 headers", then: says(tooMany)},
	{name: "20 million headers claimed", deaf: true, why: "20000000 headers", then: says(func(b *hostile.Blocks) []byte {
		return hostile.Syn(freeID, b.Store(hostile.Claim(20_000_000)))
	})},
	{name: "a header of 16 MiB in a block of 16 KiB, which older servers read", only: "containerd 1.6.", open: stdoutBy(func(*hostile.Blocks) []byte {
		return hostile.Syn(stdoutID, bomb())
	})},
	{name: "a header of 16 MiB in a block of 16 KiB", only: "containerd 2.", deaf: true, then: says(func(*hostile.Blocks) []byte {
		return hostile.Syn(freeID, bomb())
	})},
	{name: "a corrupt header block", deaf: true, why: "corrupt", then: says(func(*hostile.Blocks) []byte {
		return hostile.Syn(freeID, []byte("garbage"))
	})},

	// Data, and where it goes.
	{name: "output goes on after the client reset stdout", then: says(func(*hostile.Blocks) []byte {
		return hostile.Control(hostile.RstStream, stdoutID, 5)
	})},
	{name: "output goes on after the client finished stdout", then: says(func(*hostile.Blocks) []byte {
		return hostile.Data(stdoutID, hostile.FlagFin, nil)
	})},
	{name: "data on a stream that was never opened", then: says(func(*hostile.Blocks) []byte {
		return hostile.Data(neverID, 0, []byte("hello"))
	})},
	{name: "data on a stream that was finished", then: says(func(*hostile.Blocks) []byte {
		return slices.Concat(hostile.Data(stderrID, hostile.FlagFin, nil), hostile.Data(stderrID, 0, []byte("hello")))
	})},
	{name: "data on a stream that was reset", then: says(func(*hostile.Blocks) []byte {
		return slices.Concat(hostile.Control(hostile.RstStream, stderrID, 5), hostile.Data(stderrID, 0, []byte("hello")))
	})},
	{name: "data on stream 0", deaf: true, why: "stream 0", then: says(func(*hostile.Blocks) []byte {
		return hostile.Data(0, 0, []byte("hello"))
	})},
	{name: "data behind GOAWAY", deaf: true, then: says(func(*hostile.Blocks) []byte {
		return hostile.Control(hostile.GoAway, 0, 0)
	})},
	{name: "a data frame of 2^24-1 bytes", process: counting(1<<24 - 1), then: func(a *attacker) {
		a.sends(hostile.Data(stdinID, 0, bytes.Repeat([]byte("x"), 1<<24-1)))
		a.sees(spdyDialect, "16777215\n")
	}},
	{name: "16 MiB claimed, and then the end", deaf: true, play: func(a *attacker) {
		a.asksForSPDY()
		usual(a)
		a.sees(spdyDialect, "ready\n")
		a.sends(hostile.Claiming(1<<24-1, hostile.Data(stdinID, 0, []byte("some\n"))))
		_ = a.wire.CloseWrite()
		a.leaves(saidGoAway)
	}},

	// Floods.
	{name: "10000 SETTINGS", then: says(func(*hostile.Blocks) []byte {
		return bytes.Repeat(hostile.Control(hostile.Settings, 1, 2, 3), 10_000)
	})},
	{name: "10000 PINGs", then: says(func(*hostile.Blocks) []byte {
		return bytes.Repeat(hostile.Control(hostile.Ping, 1), 10_000)
	})},
	{name: "10000 NOOPs", deaf: true, why: "type 5", then: says(func(*hostile.Blocks) []byte {
		return bytes.Repeat(hostile.Control(hostile.Noop), 10_000)
	})},

	// Where there is no stream to tell the client why.
	{name: "a NOOP before the error stream", deaf: true, why: "type 5", untold: true, play: func(a *attacker) {
		a.asksForSPDY()
		a.sends(hostile.Control(hostile.Noop))
		a.leaves(already)
	}},
}

// neverID is of no stream that is ever opened.
const neverID = 99

// counting counts so many bytes. It is spoken to when it has said how many: it
// may read more of what is there already.
func counting(bytes int) kubelet.Process {
	return kubelet.Process{
		Command: shell(fmt.Sprintf(`echo ready; head -c %d | wc -c; read line; echo "got $line"`, bytes)),
		Stdin:   true,
	}
}

// usual is how kubectl opens its streams.
var usual = ids(errorID, stdinID, stdoutID, stderrID)

// ids opens a session's streams with these ids, which go up.
func ids(errorStream, stdin, stdout, stderr uint32) func(*attacker) {
	return func(a *attacker) {
		a.errorStream, a.stdin = errorStream, stdin
		a.opens(errorStream, "error")
		a.opens(stdin, "stdin")
		a.opens(stdout, "stdout")
		a.opens(stderr, "stderr")
	}
}

// stdoutBy opens a session's streams as usual, but stdout with words of its own.
func stdoutBy(words func(*hostile.Blocks) []byte) func(*attacker) {
	return func(a *attacker) {
		a.opens(errorID, "error")
		a.opens(stdinID, "stdin")
		a.sends(words(&a.blocks))
		a.awaitsReply(stdoutID)
		a.opens(stderrID, "stderr")
	}
}

// tooMany opens a stream with one header more than newer servers read.
func tooMany(b *hostile.Blocks) []byte {
	return hostile.Syn(freeID, b.Store(hostile.Pairs(many(1001)...)))
}

// bomb is a block of headers that open stdout, of 16 KiB, on any connection that
// has had one. To make it takes longer, on a busy machine, than the half minute
// that a runtime waits for streams.
var bomb = sync.OnceValue(func() []byte {
	var b hostile.Blocks
	b.Open(errorID, "error")
	return b.Squeeze(hostile.Pairs("streamtype", "stdout", "bomb", strings.Repeat("x", 16<<20)))
})

// many are the names and values of so many headers.
func many(headers int) (pairs []string) {
	for i := range headers {
		pairs = append(pairs, fmt.Sprintf("name-%d", i), "value")
	}
	return pairs
}

// says says something.
func says(words func(*hostile.Blocks) []byte) func(*attacker) {
	return func(a *attacker) { a.sends(words(&a.blocks)) }
}

// asksForSPDY asks for a session as a kubelet does.
func (a *attacker) asksForSPDY() {
	a.t.Helper()
	say(a.t, a, with("", "")(a.path))
	a.granted()
}

// saidGoAway reports whether the server said that the session is over.
func saidGoAway(received []byte) bool {
	for answer := range hostile.Answers(received) {
		if answer.Kind == hostile.GoAway {
			return true
		}
	}
	return false
}

// already is how a client leaves that waits for nothing.
func already([]byte) bool { return true }

var spdyDialect = dialect{utterances: func(wire []byte) (all []utterance) {
	for answer := range hostile.Answers(wire) {
		if answer.Kind == 0 {
			all = append(all, utterance{answer.ID, answer.Payload, answer.Bytes})
		}
	}
	return all
}}

// opens opens a stream as any client does.
func (a *attacker) opens(id uint32, streamType string) {
	a.t.Helper()
	a.sends(a.blocks.Open(id, streamType))
	a.awaitsReply(id)
}

// awaitsReply waits until the server has accepted a stream.
func (a *attacker) awaitsReply(id uint32) {
	a.t.Helper()
	a.awaits("the reply to a SYN_STREAM", func(received []byte) bool {
		for answer := range hostile.Answers(received) {
			if answer.Kind == hostile.SynReply && answer.ID == id {
				return true
			}
		}
		return false
	})
}
