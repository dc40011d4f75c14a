package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"k8s.io/klog/v2"

	"exectape/e2e/kubelet"
	"exectape/e2e/node"
	"exectape/e2e/recorder"
)

// patience is how long anything is waited for that will come. It is long for a
// busy machine.
const patience = 3 * time.Minute

// streamingServer is where containerd serves sessions.
var streamingServer = netip.MustParseAddrPort("127.0.0.1:34567")

// What all tests share. It is made once, and only read by them.
var (
	binary  = os.Getenv(binaryVariable) // exectape, built with the race detector, but for a trial
	missing error                       // why there is nothing of the following
	runtime *node.Node
	shop    *node.Pod
	app     *node.Container // which does nothing until it is told to, in shop
)

const (
	binaryVariable = "EXECTAPE_TEST_BINARY"
	rootVariable   = "EXECTAPE_TEST_ROOT" // set: what is missing is a failure
)

// TestMain builds exectape, enters the namespaces, and runs the tests there.
func TestMain(m *testing.M) {
	// Kubernetes' clients would log what the tests do to their sessions.
	klog.SetLogger(logr.Discard())
	if os.Getenv(impostorVariable) != "" {
		fmt.Fprintln(os.Stderr, impersonate(os.Getenv(impostorVariable)))
		os.Exit(1)
	}
	run := outside
	if node.Inside() {
		run = inside
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func outside(m *testing.M) (code int, err error) {
	directory, err := os.MkdirTemp("", "exectape-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(directory)
	// One test runs it as a user who owns nothing.
	if err := os.Chmod(directory, 0o755); err != nil {
		return 0, err
	}
	how := []string{"-race"}
	if whole {
		how = nil // what is measured is what is shipped
	}
	if binary, err = recorder.Build(context.Background(), "..", directory, how...); err != nil {
		return 0, err
	}
	if err := os.Setenv(binaryVariable, binary); err != nil {
		return 0, err
	}
	missing = node.Missing()
	if missing == nil {
		return node.Enter()
	}
	if os.Getenv(rootVariable) != "" {
		return 0, missing
	}
	return m.Run(), nil
}

func inside(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	runtime, err = node.Start(ctx, streamingServer)
	if err != nil {
		return 0, err
	}
	shop, err = runtime.RunPod(ctx, "shop")
	if err == nil {
		app, err = shop.RunContainer(ctx, "app", kubelet.Process{Command: []string{"cat"}, Stdin: true})
	}
	if err == nil {
		code = m.Run()
	}
	err = errors.Join(err, runtime.Close())
	if code == 0 && err == nil {
		// Kubernetes' client and server wait half a minute for streams of a
		// connection that has ended. For ever they wait for what is still open in one
		// that they close after its peer did (spdystream/connection.go, shutdown),
		// and for the reply to a stream that came last (stream.go, waitWriteReply):
		// who writes to it, and waits for that.
		err = goleak.Find(
			goleak.IgnoreAnyFunction("github.com/moby/spdystream.(*Connection).shutdown"),
			goleak.IgnoreAnyFunction("github.com/moby/spdystream.(*Connection).shutdown.func1"),
			goleak.IgnoreAnyFunction("github.com/moby/spdystream.(*Stream).waitWriteReply"),
			goleak.IgnoreAnyFunction("exectape/e2e/local.processes.Exec"),
			goleak.IgnoreTopFunction("github.com/moby/spdystream.(*Stream).WaitTimeout"),
			goleak.IgnoreAnyFunction("k8s.io/cri-streaming/pkg/streaming/remotecommand.(*v4ProtocolHandler).waitForStreams"))
	}
	return code, err
}

// needsNode skips a test where there is no node.
func needsNode(t *testing.T) {
	t.Helper()
	if missing != nil {
		skip(t, missing)
	}
}

// skip skips a test for the lack of something, where that may be missing.
func skip(t *testing.T, lack error) {
	t.Helper()
	if os.Getenv(rootVariable) != "" {
		t.Fatal(lack)
	}
	t.Skip(lack)
}

// patiently returns a context for what is to happen within patience.
func patiently(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
