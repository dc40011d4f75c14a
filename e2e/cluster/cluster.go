package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"exectape/e2e/node"
)

// A Cluster is a running one.
type Cluster struct {
	Directory string // of all that it writes: state, keys, logs

	programs   string // where its programs are; "": in PATH
	node       *node.Node
	components []*component

	// Of one that somebody else has started:
	kubeconfig string
	onNode     []string // runs what stands behind it on the node
}

// Existing returns a cluster that somebody else has started, and will end.
// kubectl is in PATH. onNode are the words by which a program is run on its
// node, as in "docker exec kind-control-plane"; exectape is in that one's PATH,
// and its image is there.
func Existing(kubeconfig, onNode string) *Cluster {
	return &Cluster{kubeconfig: kubeconfig, onNode: strings.Fields(onNode)}
}

// NodeName is what the cluster's only node is called.
const NodeName = "node1"

// Start starts a cluster on n. The programs are those that build.sh made. The
// node is ready for pods when Start returns.
func Start(ctx context.Context, programs, directory string, n *node.Node) (_ *Cluster, err error) {
	c := &Cluster{Directory: directory, programs: programs, node: n}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	for _, prepare := range []func() error{c.coverSystem, c.shareState, c.makeNetwork, c.writeFiles, c.startAPI} {
		if err := prepare(); err != nil {
			return c, fmt.Errorf("cluster: %w", err)
		}
	}
	if err := c.await(ctx, "the API server", "get", "--raw", "/readyz"); err != nil {
		return c, err
	}
	if err := errors.Join(c.startControl(), c.startNode()); err != nil {
		return c, err
	}
	if err := c.await(ctx, "the node", "wait", "--for=condition=Ready", "node/"+NodeName, "--timeout=10s"); err != nil {
		return c, err
	}
	return c, c.await(ctx, "the default service account", "get", "serviceaccount", "default")
}

// startAPI starts etcd and the API server, which asks again for what isn't there
// yet, so nothing waits here.
func (c *Cluster) startAPI() error {
	key := c.file("serviceaccount.key")
	return errors.Join(
		c.start("/usr/bin/etcd", "--data-dir="+c.file("etcd"), "--listen-peer-urls=http://127.0.0.1:2380",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379"),
		c.start(c.program("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", "--bind-address=127.0.0.1", "--secure-port=6443",
			"--advertise-address="+address, "--kubelet-preferred-address-types=InternalIP",
			"--cert-dir="+c.Directory, "--token-auth-file="+c.file("tokens"), "--authorization-mode=Node,RBAC",
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+key,
			"--service-account-signing-key-file="+key, "--service-cluster-ip-range=10.97.0.0/24", "--allow-privileged=true"),
	)
}

// startControl starts what controls the node. It ends if it has to wait for the
// API server for more than ten seconds.
func (c *Cluster) startControl() error {
	server := "--kubeconfig=" + c.Kubeconfig()
	return errors.Join(
		c.start(c.program("kube-controller-manager"), server, "--leader-elect=false",
			"--service-account-private-key-file="+c.file("serviceaccount.key"), "--bind-address=127.0.0.1", "--cert-dir="+c.Directory),
		c.start(c.program("kube-scheduler"), server, "--leader-elect=false", "--bind-address=127.0.0.1", "--cert-dir="+c.Directory),
	)
}

func (c *Cluster) startNode() error {
	return c.start(c.program("kubelet"), "--config="+c.file("kubelet.yaml"), "--kubeconfig="+c.file("kubelet.kubeconfig"),
		"--hostname-override="+NodeName, "--node-ip="+address, "--root-dir="+c.file("kubelet"), "--cert-dir="+c.Directory, "--v=2")
}

// start starts one more component.
func (c *Cluster) start(path string, args ...string) error {
	started, err := start(c.Directory, path, args...)
	if err == nil {
		c.components = append(c.components, started)
	}
	return err
}

func (c *Cluster) file(name string) string    { return filepath.Join(c.Directory, name) }
func (c *Cluster) program(name string) string { return filepath.Join(c.programs, name) }

// Kubeconfig is the file with which kubectl reaches the cluster as its owner.
func (c *Cluster) Kubeconfig() string {
	if c.kubeconfig != "" {
		return c.kubeconfig
	}
	return c.file("admin.kubeconfig")
}

// OnNode returns a command of a program on the node.
func (c *Cluster) OnNode(ctx context.Context, program string, args ...string) *exec.Cmd {
	words := slices.Concat(c.onNode, []string{program}, args)
	return exec.CommandContext(ctx, words[0], words[1:]...)
}

// Kubectl returns a command of the cluster's own kubectl.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.program("kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	if c.Directory != "" {
		cmd.Env = append(cmd.Env, "HOME="+c.Directory) // where it caches
	}
	return cmd
}

// askAgain is how long to wait before asking for something once more.
const askAgain = 200 * time.Millisecond

// await runs kubectl with args until that succeeds.
func (c *Cluster) await(ctx context.Context, what string, args ...string) error {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		said, err := c.Kubectl(ctx, args...).CombinedOutput()
		if err == nil {
			return nil
		}
		if err := c.running(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cluster: wait for %s: %w\n%s", what, ctx.Err(), said)
		}
	}
}

// running returns an error if a component has ended.
func (c *Cluster) running() error {
	for _, component := range c.components {
		if err := component.running(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the components. Its pods end with the namespaces.
func (c *Cluster) Close() error {
	var errs []error
	for i := len(c.components) - 1; i >= 0; i-- {
		errs = append(errs, c.components[i].stop())
	}
	return errors.Join(errs...)
}
