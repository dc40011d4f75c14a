package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// A Node is a running containerd and what is needed to use it.
type Node struct {
	Streaming netip.AddrPort // where it serves exec, attach and port-forward
	Version   string         // containerd's own words

	directory string
	process   *exec.Cmd
	log       *os.File
	conn      *grpc.ClientConn
	runtime   cri.RuntimeServiceClient
}

// containerdVariable has the directory of a containerd to run instead of the one
// in PATH: see build.sh.
const containerdVariable = "EXECTAPE_TEST_CONTAINERD"

// program returns what runs one of containerd's programs.
func program(name string) string {
	return filepath.Join(os.Getenv(containerdVariable), name)
}

// path is PATH as containerd needs it, which looks there for its shim before it
// looks beside itself.
func path() string {
	if other := os.Getenv(containerdVariable); other != "" {
		return other + ":" + os.Getenv("PATH")
	}
	return os.Getenv("PATH")
}

// Start starts a containerd whose streaming server listens on streaming, or on
// any port if that is 0. It is ready when Start returns. All it keeps is below /run, which is private and in
// memory; several may run side by side.
func Start(ctx context.Context, streaming netip.AddrPort) (_ *Node, err error) {
	if !Inside() {
		return nil, errors.New("a node starts only inside its own namespaces: see Enter")
	}
	n := &Node{Streaming: streaming}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, n.logged())
			err = errors.Join(err, n.Close())
		}
	}()
	if n.directory, err = os.MkdirTemp("/run", "containerd-"); err != nil {
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
	var image bytes.Buffer
	if err := writeBusybox(&image); err != nil {
		return n, err
	}
	return n, n.Import(ctx, &image)
}

// Restart ends containerd and starts it again. Its pods go on meanwhile.
func (n *Node) Restart(ctx context.Context) error {
	terminate(n.process)
	if err := n.run(); err != nil {
		return err
	}
	return n.await(ctx)
}

// await waits until containerd serves the kubelet.
func (n *Node) await(ctx context.Context) error {
	version, err := n.runtime.Version(ctx, &cri.VersionRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("wait for containerd: %w", err)
	}
	n.Version = version.GetRuntimeName() + " " + version.GetRuntimeVersion()
	return nil
}

// Socket is where containerd serves its own interface, and the kubelet's.
func (n *Node) Socket() string { return filepath.Join(n.directory, "socket") }

// State is containerd's state directory.
func (n *Node) State() string { return filepath.Join(n.directory, "state") }

// Cgroup is the one above those of all containers. It is removed in the end.
func (n *Node) Cgroup() string { return "/" + os.Getenv(cgroupsVariable) }

// ConfigureNetwork says, as a CNI configuration list, how pods that don't have
// the node's network get one.
func (n *Node) ConfigureNetwork(list string) error {
	return os.WriteFile(filepath.Join(n.networks(), "pods.conflist"), []byte(list), 0o600)
}

func (n *Node) networks() string   { return filepath.Join(n.directory, "cni") }
func (n *Node) logFile() string    { return filepath.Join(n.directory, "log") }
func (n *Node) configFile() string { return filepath.Join(n.directory, "config.toml") }

var configuration = template.Must(template.New("").Parse(`version = 2
root = "{{.Directory}}/root"
state = "{{.Directory}}/state"
[grpc]
  address = "{{.Directory}}/socket"
[plugins."io.containerd.internal.v1.opt"]
  path = "{{.Directory}}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "{{.Streaming.Addr}}"
  stream_server_port = "{{.Streaming.Port}}"
  sandbox_image = "{{.Image}}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{{.Directory}}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`))

func (n *Node) configure() error {
	var config bytes.Buffer
	err := configuration.Execute(&config, map[string]any{"Directory": n.directory, "Streaming": n.Streaming, "Image": Busybox})
	if err != nil {
		return err
	}
	if err := os.Mkdir(n.networks(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(n.configFile(), config.Bytes(), 0o600); err != nil {
		return err
	}
	n.log, err = os.Create(n.logFile())
	return err
}

// run starts containerd as it is configured.
func (n *Node) run() error {
	process := exec.Command(program("containerd"), "--config", n.configFile())
	process.Env = append(os.Environ(), "PATH="+path())
	process.Stdout, process.Stderr = n.log, n.log
	if err := process.Start(); err != nil {
		return err
	}
	n.process = process
	return nil
}

// Import gives containerd an image, as [Image.Write] or "docker save" wrote it.
// Its own command for that is the one way that needs no registry.
func (n *Node) Import(ctx context.Context, archive io.Reader) error {
	ctr := exec.CommandContext(ctx, program("ctr"), "--address", n.Socket(), "--namespace", "k8s.io", "images", "import", "-")
	ctr.Stdin = archive
	if said, err := ctr.CombinedOutput(); err != nil {
		return fmt.Errorf("import an image: %w\n%s", err, said)
	}
	return nil
}

// Close stops containerd. Its pods end with the namespaces: that is certain, and
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

// stopTime is what containerd gets to end in order.
const stopTime = 10 * time.Second

// terminate asks a process to end, and ends it if it doesn't.
func terminate(process *exec.Cmd) {
	_ = process.Process.Signal(os.Interrupt) // it may have ended
	late := time.AfterFunc(stopTime, func() { _ = process.Process.Kill() })
	defer late.Stop()
	_ = process.Wait() // however it did
}

// Since returns when the streaming server of now was about to listen, as
// containerd's log has it.
func (n *Node) Since() (time.Time, error) {
	all, err := os.ReadFile(n.logFile())
	if err != nil {
		return time.Time{}, err
	}
	lines := regexp.MustCompile(`(?m)^time="([^"]+)" .*msg="Start streaming server"`).FindAllSubmatch(all, -1)
	if lines == nil {
		return time.Time{}, errors.New("containerd did not log that it starts a streaming server")
	}
	return time.Parse(time.RFC3339Nano, string(lines[len(lines)-1][1]))
}

// logged is the end of what containerd logged, for an error.
func (n *Node) logged() []byte {
	all, _ := os.ReadFile(n.logFile())
	return all[max(0, len(all)-4096):]
}
