package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"exectape/e2e/cluster"
	"exectape/e2e/node"
)

// programsVariable has the directory of Kubernetes' programs: see build.sh.
// Without it there is nothing to test with.
const programsVariable = "EXECTAPE_TEST_KUBERNETES"

// A cluster that somebody else has started is tested in if the one has its
// kubeconfig, and the other the words that run a program on its node: see
// deploy/kind/e2e.sh.
const (
	kubeconfigVariable = "EXECTAPE_TEST_KUBECONFIG"
	nodeVariable       = "EXECTAPE_TEST_NODE"
)

// directoryVariable has a directory that is removed in the end.
const directoryVariable = "EXECTAPE_TEST_CLUSTER_DIRECTORY"

// patience is how long anything is waited for that will come. It is long for a
// busy machine, which has a cluster to run beside the tests.
const patience = 5 * time.Minute

// within has kubectl wait for less than that, so that it says for what.
const within = "--timeout=4m"

// streamingServer is where containerd serves sessions: at a port that changes
// with every start, which is its default.
var streamingServer = netip.MustParseAddrPort("127.0.0.1:0")

// kubernetes is the cluster, or nil.
var kubernetes *cluster.Cluster

func TestMain(m *testing.M) {
	run := outside
	if node.Inside() {
		run = inside
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		code = 1
	}
	os.Exit(code)
}

func outside(m *testing.M) (code int, err error) {
	if kubeconfig := os.Getenv(kubeconfigVariable); kubeconfig != "" {
		kubernetes = cluster.Existing(kubeconfig, os.Getenv(nodeVariable))
		return test(context.Background(), m)
	}
	if os.Getenv(programsVariable) == "" {
		return m.Run(), nil
	}
	if err := node.Missing(); err != nil {
		return 0, err
	}
	directory, err := os.MkdirTemp("", "exectape-cluster-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(directory)
	if err := os.Setenv(directoryVariable, directory); err != nil {
		return 0, err
	}
	return node.Enter()
}

func inside(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := node.Start(ctx, streamingServer)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	kubernetes, err = cluster.Start(ctx, os.Getenv(programsVariable), os.Getenv(directoryVariable), n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, kubernetes.Close()) }()
	return test(ctx, m)
}

// test runs the tests in the cluster, with their pods in it.
func test(ctx context.Context, m *testing.M) (code int, err error) {
	for _, args := range [][]string{
		{"create", "namespace", "shop"},
		// Without it no pod is let in, and it is made a while after the namespace.
		{"--namespace=shop", "wait", "--for=create", "serviceaccount/default", within},
		{"apply", "--filename=pods.yaml"},
		{"config", "set-context", "--current", "--namespace=shop"},
		{"wait", "--for=condition=Ready", "pod/web", within},
	} {
		if said, err := kubernetes.Kubectl(ctx, args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("kubectl %q: %w\n%s", args, err, said)
		}
	}
	return m.Run(), nil
}

// needsCluster skips a test where there is no cluster.
func needsCluster(t *testing.T) {
	t.Helper()
	if kubernetes == nil {
		t.Skipf("%s is not set; make cluster-test sets it", programsVariable)
	}
}
