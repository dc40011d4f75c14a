// Try starts a Kubernetes of one node with exectape on it, for a person to try,
// and a shell in which kubectl and exectape reach it. All of it ends with the
// shell, and nothing is left.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"exectape/e2e/cluster"
	"exectape/e2e/node"
)

const (
	programsVariable  = "EXECTAPE_TEST_KUBERNETES" // where build.sh has put them
	directoryVariable = "EXECTAPE_TEST_CLUSTER_DIRECTORY"
)

// patience is how long the cluster may take to be there.
const patience = 5 * time.Minute

const howTo = `
A Kubernetes of one node, with exectape on it, for as long as this shell is open:

  kubectl exec -it web -- sh                       a session
  exectape ls                                      what was recorded
  exectape play ID                                 shows it again
  exectape tail                                    shows those that go on
  kubectl -n exectape logs daemonset/exectape      what exectape says
  exit

`

func main() {
	run := outside
	if node.Inside() {
		run = inside
	}
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "try:", err)
		code = 1
	}
	os.Exit(code)
}

func outside() (code int, err error) {
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

func inside() (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fmt.Println("starting ...")
	n, err := node.Start(ctx, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	c, err := cluster.Start(ctx, os.Getenv(programsVariable), os.Getenv(directoryVariable), n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := furnish(ctx, c); err != nil {
		return 0, err
	}
	fmt.Print(howTo)
	return shell(c), nil
}

// furnish puts exectape and a pod into the cluster.
func furnish(ctx context.Context, c *cluster.Cluster) error {
	if err := c.Install(ctx, ".."); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"create", "namespace", "shop"},
		// Without it no pod is let in, and it is made a while after the namespace.
		{"--namespace=shop", "wait", "--for=create", "serviceaccount/default", "--timeout=90s"},
		{"apply", "--filename=cluster/pods.yaml"},
		{"apply", "--kustomize=../deploy/overlays/kind"},
		{"config", "set-context", "--current", "--namespace=shop"},
		{"wait", "--for=condition=Ready", "pod/web", "--timeout=90s"},
		{"--namespace=exectape", "rollout", "status", "daemonset/exectape", "--timeout=90s"},
	} {
		if said, err := c.Kubectl(ctx, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %q: %w\n%s", args, err, said)
		}
	}
	return nil
}

// shell runs a shell until the person leaves it, and returns its exit code.
func shell(c *cluster.Cluster) int {
	// What a Ctrl-C is for is the shell's business.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	sh := exec.Command("sh")
	sh.Stdin, sh.Stdout, sh.Stderr = os.Stdin, os.Stdout, os.Stderr
	sh.Env = append(os.Environ(), "PS1=node1 # ", "KUBECONFIG="+c.Kubeconfig(),
		"PATH="+os.Getenv(programsVariable)+":"+filepath.Dir(c.Exectape())+":"+os.Getenv("PATH"))
	_ = sh.Run() // the code says how it went
	return sh.ProcessState.ExitCode()
}
