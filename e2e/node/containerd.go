package node

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"text/template"
)

// containerdVariable has the directory of a containerd to run instead of the one
// in PATH: see build.sh.
const containerdVariable = "EXECTAPE_TEST_CONTAINERD"

func containerd() daemon {
	// program is what runs one of containerd's programs.
	program := func(name string) string { return filepath.Join(os.Getenv(containerdVariable), name) }
	return daemon{
		programs:      []string{program("containerd"), program("ctr"), "runc"},
		configuration: containerdConfiguration,
		start: func(directory string) *exec.Cmd {
			process := exec.Command(program("containerd"), "--config", filepath.Join(directory, configured))
			if other := os.Getenv(containerdVariable); other != "" {
				// It looks there for its shim before it looks beside itself.
				process.Env = append(os.Environ(), "PATH="+other+":"+os.Getenv("PATH"))
			}
			return process
		},
		load: func(ctx context.Context, directory, archive, _ string) *exec.Cmd {
			return exec.CommandContext(ctx, program("ctr"), "--address", filepath.Join(directory, "socket"),
				"--namespace", "k8s.io", "images", "import", archive)
		},
		state:   "state",
		listens: regexp.MustCompile(`(?m)^time="([^"]+)" .*msg="Start streaming server"`),
	}
}

var containerdConfiguration = template.Must(template.New("").Parse(`version = 2
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
