package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"k8s.io/client-go/tools/remotecommand"

	"exectape/e2e/kubelet"
	"exectape/e2e/tap"
	"exectape/e2e/transcript"
	"exectape/session"
	"exectape/session/sessiontest/hostile"
)

// TestHostileBytesEndASessionAndClientGoSaysWhy has client-go in the session, and
// somebody else's bytes between its own.
func TestHostileBytesEndASessionAndClientGoSaysWhy(t *testing.T) {
	needsNode(t)
	tests := []struct {
		name  string
		bytes []byte
		why   string
	}{
		{"NOOP", hostile.Control(hostile.Noop), "type 5"},
		{"data on stream 0", hostile.Data(0, 0, []byte("hello")), "stream 0"},
		{"RST_STREAM without a status", hostile.Control(hostile.RstStream, stdoutID, 0), "status 0"},
		{"a corrupt header block", hostile.Syn(freeID, []byte("garbage")), "corrupt"},
	}
	e := start(t, "EXECTAPE_IPTABLES=nft", closed)
	between, err := tap.Listen(streamingServer) // which the rule leads to exectape
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = between.Close() })
	for _, test := range tests {
		for name, process := range map[string]kubelet.Process{"a pipe": cat, "a terminal": terminal} {
			t.Run(test.name+" in "+name, func(t *testing.T) {
				where, err := app.Exec(patiently(t), process)
				if err != nil {
					t.Fatal(err)
				}
				where.Host = between.Addr().String()
				u := open(t, direct, where, process)
				line, err := between.Next(patiently(t))
				if err != nil {
					t.Fatal(err)
				}
				u.types("hello\n")
				u.sees("hello")
				line.Say(test.bytes)
				got := u.leaves()

				if _, told := kubelet.ExitCode(got.err); told || !strings.Contains(got.err.Error(), "exectape ended this session") || !strings.Contains(got.err.Error(), test.why) {
					t.Errorf("the user is told %v, want a sentence from exectape about %q", got.err, test.why)
				}
				r := e.on(t).recorded()
				if r.EndReason != session.EndByUs || !strings.HasSuffix(got.err.Error(), r.EndDetail) {
					t.Errorf("the session ended as %q (%s), want %q and what the user was told", r.EndReason, r.EndDetail, session.EndByUs)
				}
				wantBegins(t, "the recorded stdout", r.cat("stdout"), got.stdout)
			})
		}
	}
}

// TestHostileBytesEndAWebSocketSessionAndClientGoSaysWhy is the same over
// WebSocket, with the one subprotocol that client-go and containerd both speak.
func TestHostileBytesEndAWebSocketSessionAndClientGoSaysWhy(t *testing.T) {
	needsNode(t)
	e := start(t, "EXECTAPE_IPTABLES=nft", closed)
	between, err := tap.Listen(streamingServer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = between.Close() })
	where, err := app.Exec(patiently(t), cat)
	if err != nil {
		t.Fatal(err)
	}
	where.Host = between.Addr().String()
	executor, err := remotecommand.NewWebSocketExecutorForProtocols(direct.Config(), http.MethodGet, where.String(), "v4.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr transcript.Transcript
	stdin, keyboard := io.Pipe()
	ended := make(chan error, 1)
	ctx := patiently(t)
	go func() {
		ended <- executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: &stdout, Stderr: &stderr})
	}()
	defer keyboard.Close()
	line, err := between.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(keyboard, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if err := stdout.Await(ctx, func(all []byte) bool { return string(all) == "hello\n" }); err != nil {
		t.Fatal(err)
	}
	line.Say(hostile.Unmasked(hostile.Fin|hostile.Binary, []byte("\x00hello\n")))
	err = <-ended

	r := e.recorded()
	if r.EndReason != session.EndByUs || !strings.Contains(r.EndDetail, "not masked") {
		t.Errorf("the session ended as %q (%s), want %q and a word about masks", r.EndReason, r.EndDetail, session.EndByUs)
	}
	if _, told := kubelet.ExitCode(err); told || !strings.Contains(err.Error(), r.EndDetail) {
		t.Errorf("the user is told %v, want %q", err, r.EndDetail)
	}
	wantSame(t, "the recorded stdout", r.cat("stdout"), stdout.Bytes())
}
