package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"exectape/e2e/kubelet"
)

// An asker asks for its session in a way of its own. What an exec's request line
// can be is tried elsewhere: see askings.
type asker struct {
	name    string
	refused int // how many requests come before and get a 404
	request func(path string) string

	// hurried says that the session's first frame is not kept waiting for the
	// answer.
	hurried bool

	why  string // as a trial's, which is refused with the policy closed
	only string // as a trial's
}

const nosuch = "GET /exec/nosuch HTTP/1.1\r\nHost: node\r\n\r\n"

// with is a request to upgrade with more headers, and what follows them.
func with(headers, body string) func(path string) string {
	return func(path string) string { return post + path + http11 + "\r\n" + headers + upgrade + body }
}

var askers = []asker{
	{name: "as a kubelet does", request: with("", "")},
	{name: "the session begins before it is granted", request: with("", ""), hurried: true},

	{name: "a small body is the session's beginning", request: with("Content-Length: 5\r\n", ""), hurried: true, why: "may or may not be", only: "containerd 1.6."},
	{name: "a small body is nothing", request: with("Content-Length: 5\r\n", "hello"), hurried: true, why: "may or may not be", only: "containerd 2."},
	{name: "a body of 256 KiB is the session", request: with("Content-Length: 262144\r\n", "")},
	{name: "a body of 256 KiB is the session, at once", request: with("Content-Length: 262144\r\n", ""), hurried: true},
	{name: "a body that is expected is the session", request: with("Content-Length: 5\r\nExpect: 100-continue\r\n", "")},
	{name: "a body that is expected is the session, at once", request: with("Content-Length: 5\r\nExpect: 100-continue\r\n", ""), hurried: true},

	{name: "twenty requests before, each awaited", refused: 20, request: with("", "")},
	{name: "twenty requests before, all at once", request: func(path string) string {
		return strings.Repeat(nosuch, 20) + with("", "")(path)
	}},
	{name: "an empty line behind a POST and its body", request: func(path string) string {
		return "POST /exec/nosuch HTTP/1.1\r\nHost: node\r\nContent-Length: 5\r\n\r\nhello" + "\r\n" + with("", "")(path)
	}},

	{name: "lines end in LF", request: func(path string) string { return strings.ReplaceAll(with("", "")(path), "\r\n", "\n") }},
	{name: "SPDY among other upgrades", request: func(path string) string {
		return strings.Replace(with("", "")(path), "SPDY/3.1", "h2c, spdy/3.1 ,x", 1)
	}},
	{name: "a head of 1 MiB", request: with("X: "+strings.Repeat("x", 1<<20-1000)+"\r\n", "")},
	{name: "a head of 10000 lines", request: with(strings.Repeat("X: x\r\n", 10_000), "")},
}

func TestHostileHTTP(t *testing.T) {
	var trials []trial
	for _, asker := range askers {
		client := spdyClient{name: asker.name, ask: asker.ask, why: asker.why, only: asker.only, refused: asker.why != ""}
		if asker.hurried {
			client.open = func(a *attacker) {
				a.awaitsReply(errorID)
				a.opens(stdinID, "stdin")
				a.opens(stdoutID, "stdout")
				a.opens(stderrID, "stderr")
			}
		}
		trials = append(trials, client.trial())
	}
	testTrials(t, spdyDialect, trials)
}

// ask asks for the session.
func (asker asker) ask(a *attacker) {
	a.t.Helper()
	for range asker.refused {
		a.asks(nosuch, http.StatusNotFound)
	}
	request := asker.request(a.path)
	refused := strings.Count(request, "/exec/nosuch ")
	if asker.hurried {
		request += string(a.blocks.Open(errorID, "error"))
	}
	say(a.t, a, request)
	for range refused {
		a.answers(http.StatusNotFound)
	}
	a.granted()
}

func TestASessionThatMayBeginInABodyIsRefusedBeforeContainerdHearsOfIt(t *testing.T) {
	needsNode(t)
	e := start(t, "EXECTAPE_IPTABLES=nft", closed)
	process := kubelet.Process{Command: shell("echo out; echo err >&2")}
	where, err := app.Exec(patiently(t), process)
	if err != nil {
		t.Fatal(err)
	}
	client := talk(t, byNFT.mustDial(t, streamingServer))
	say(t, client, with("Content-Length: 5\r\n", "hello")(where.Path))
	answer, err := http.ReadResponse(client.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	sentence, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = "exectape refused this session because it can't be recorded: the request to upgrade has a body"
	if answer.StatusCode != http.StatusBadRequest || !strings.HasPrefix(string(sentence), want) {
		t.Errorf("the answer is %s, %q; want 400, %q", answer.Status, sentence, want)
	}
	e.wantNothingRecorded()

	got := open(t, direct, where, process).leaves() // for which the token was kept
	wantSame(t, "the user's stdout", got.stdout, []byte("out\n"))
	e.recorded().wantAnswer(got)
}
