package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"text/template"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A Node is a running container runtime and what is needed to use it.
type Node struct {
	Streaming netip.AddrPort // where it serves exec, attach and port-forward
	Version   string         // the runtime's own words

	daemon

	directory string
	process   *exec.Cmd
	log       *os.File
	conn      *grpc.ClientConn
	runtime   cri.RuntimeServiceClient
}

// A daemon is what makes a machine a node: containerd, or CRI-O. All it keeps is
// below a directory.
type daemon struct {
	programs      []string // that it takes
	directories   []string // that have to be there
	configuration *template.Template
	start         func(directory string) *exec.Cmd
	load          func(ctx context.Context, directory, archive, name string) *exec.Cmd // an image, as "docker save" wrote it
	CRIO          bool                                                                 // it is CRI-O
	processes     cri.NamespaceMode                                                    // whose those in a container are
	tmp           string                                                               // its TMPDIR, if it has one of its own
	state         string                                                               // its state directory
	listens       *regexp.Regexp                                                       // what it logs when its streaming server is about to listen, and when that is
}

// ours is the daemon of all nodes.
func ours() daemon {
	if os.Getenv(crioVariable) != "" {
		return crio()
	}
	return containerd()
}

// Start starts a runtime whose streaming server listens on streaming, or on any
// port if that is 0. It is ready when Start returns. All it keeps is below /run,
// which is private and in memory; several may run side by side.
func Start(ctx context.Context, streaming netip.AddrPort) (_ *Node, err error) {
	if !Inside() {
		return nil, errors.New("a node starts only inside its own namespaces: see Enter")
	}
	n := &Node{Streaming: streaming, daemon: ours()}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, n.logged())
			err = errors.Join(err, n.Close())
		}
	}()
	if n.directory, err = os.MkdirTemp("/run", "node-"); err != nil {
		return n, err
	}
	if err := n.configure(); err != nil {
		return n, err
	}
	if err := n.run(); err != nil {
		return n, err
	}
	n.conn, err = grpc.NewClient("unix://"+n.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return n, err
	}
	n.runtime = cri.NewRuntimeServiceClient(n.conn)
	if err := n.await(ctx); err != nil {
		return n, err
	}
	image, err := busyboxImage()
	if err != nil {
		return n, err
	}
	return n, n.Import(ctx, image)
}

// Restart ends the runtime and starts it again. Its pods go on meanwhile.
func (n *Node) Restart(ctx context.Context) error {
	terminate(n.process)
	if err := n.run(); err != nil {
		return err
	}
	return n.await(ctx)
}

// await waits until the runtime serves the kubelet. containerd 1.6 answers before
// it has found its pods again, but only that it is not there yet.
func (n *Node) await(ctx context.Context) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		version, err := n.runtime.Version(ctx, &cri.VersionRequest{}, grpc.WaitForReady(true))
		if err == nil {
			n.Version = version.GetRuntimeName() + " " + version.GetRuntimeVersion()
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the runtime: %w", err)
		}
	}
}

// Socket is where the runtime serves the kubelet.
func (n *Node) Socket() string { return filepath.Join(n.directory, "socket") }

// State is the runtime's state directory.
func (n *Node) State() string { return filepath.Join(n.directory, n.state) }

// TMPDIR is the runtime's.
func (n *Node) TMPDIR() string {
	if n.tmp == "" {
		return os.TempDir()
	}
	return filepath.Join(n.directory, n.tmp)
}

// Cgroup is the one above those of all containers. It is removed in the end.
func (n *Node) Cgroup() string { return "/" + os.Getenv(cgroupsVariable) }

// ConfigureNetwork says, as a CNI configuration list, how pods that don't have
// the node's network get one.
func (n *Node) ConfigureNetwork(list string) error {
	return os.WriteFile(filepath.Join(n.networks(), "pods.conflist"), []byte(list), 0o600)
}

func (n *Node) networks() string { return filepath.Join(n.directory, "cni") }
func (n *Node) logFile() string  { return filepath.Join(n.directory, "log") }

// configured is the name of a daemon's configuration file.
const configured = "config.toml"

func (n *Node) configure() error {
	var config bytes.Buffer
	err := n.configuration.Execute(&config, map[string]any{
		"Directory": n.directory, "Streaming": n.Streaming, "Image": Busybox, "Keeper": keeper,
	})
	if err != nil {
		return err
	}
	for _, d := range append(n.directories, "cni") {
		if err := os.Mkdir(filepath.Join(n.directory, d), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(n.directory, configured), config.Bytes(), 0o600); err != nil {
		return err
	}
	n.log, err = os.Create(n.logFile())
	return err
}

// run starts the runtime as it is configured.
func (n *Node) run() error {
	process := n.start(n.directory)
	process.Stdout, process.Stderr = n.log, n.log
	if err := process.Start(); err != nil {
		return err
	}
	n.process = process
	return nil
}

// Import gives the runtime an image, in a way that needs no registry.
func (n *Node) Import(ctx context.Context, image Image) error {
	archive, err := os.Create(filepath.Join(n.directory, "image.tar"))
	if err != nil {
		return err
	}
	defer os.Remove(archive.Name())
	if err := errors.Join(image.Write(archive), archive.Close()); err != nil {
		return err
	}
	if said, err := n.load(ctx, n.directory, archive.Name(), image.Name).CombinedOutput(); err != nil {
		return fmt.Errorf("import an image: %w\n%s", err, said)
	}
	return nil
}

// Close stops the runtime. Its pods end with the namespaces: that is certain, and
// quick.
func (n *Node) Close() error {
	var errs []error
	if n.conn != nil {
		errs = append(errs, n.conn.Close())
	}
	if n.process != nil {
		terminate(n.process)
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	return errors.Join(errs...)
}

// stopTime is what the runtime gets to end in order.
const stopTime = 10 * time.Second

// terminate asks a process to end, and ends it if it doesn't.
func terminate(process *exec.Cmd) {
	_ = process.Process.Signal(os.Interrupt) // it may have ended
	late := time.AfterFunc(stopTime, func() { _ = process.Process.Kill() })
	defer late.Stop()
	_ = process.Wait() // however it did
}

// Since returns when the streaming server of now was about to listen, as the
// runtime's log has it.
func (n *Node) Since() (time.Time, error) {
	all, err := os.ReadFile(n.logFile())
	if err != nil {
		return time.Time{}, err
	}
	lines := n.listens.FindAllSubmatch(all, -1)
	if lines == nil {
		return time.Time{}, errors.New("the runtime did not log that it starts a streaming server")
	}
	return time.Parse(time.RFC3339Nano, string(lines[len(lines)-1][1]))
}

// logged is the end of what the runtime logged, for an error.
func (n *Node) logged() []byte {
	all, _ := os.ReadFile(n.logFile())
	return all[max(0, len(all)-4096):]
}
