package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"text/template"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// crioVariable has the directory of a CRI-O, and says that nodes are made of that
// and not of containerd: see build-crio.sh.
const crioVariable = "EXECTAPE_TEST_CRIO"

func crio() daemon {
	built := os.Getenv(crioVariable)
	return daemon{
		programs:      []string{filepath.Join(built, "crio"), filepath.Join(built, "pinns"), "conmon", "runc", "skopeo"},
		directories:   []string{"tmp"},
		configuration: crioConfiguration,
		start: func(directory string) *exec.Cmd {
			process := exec.Command(filepath.Join(built, "crio"), "--config", filepath.Join(directory, configured), "--config-dir", "")
			process.Env = append(os.Environ(), "TMPDIR="+filepath.Join(directory, "tmp"))
			return process
		},
		load: func(ctx context.Context, directory, archive, name string) *exec.Cmd {
			storage := fmt.Sprintf("containers-storage:[overlay@%[1]s/root+%[1]s/state]%[2]s", directory, name)
			// It keeps a cache in the machine's /var/lib, wherever the images are.
			return exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c",
				`mount -t tmpfs none /var/lib && exec skopeo copy "docker-archive:$0" "$1"`, archive, storage)
		},
		CRIO: true,
		// Else it would need a process of the pod's own, and that more than we may:
		// it is to outlive all others when memory is short.
		processes: cri.NamespaceMode_CONTAINER,
		tmp:       "tmp",
		state:     "state",
		listens:   regexp.MustCompile(`(?m)^time="([^"]+)" .*msg="Registered SIGHUP reload watcher"`),
	}
}

// The runtime is runc because Debian's crun is too old for it.
var crioConfiguration = template.Must(template.New("").Funcs(template.FuncMap{"env": os.Getenv}).Parse(`[crio]
root = "{{.Directory}}/root"
runroot = "{{.Directory}}/state"
storage_driver = "overlay"
log_dir = "{{.Directory}}/logs"
version_file = "{{.Directory}}/version"
clean_shutdown_file = "{{.Directory}}/clean"
[crio.api]
listen = "{{.Directory}}/socket"
stream_address = "{{.Streaming.Addr}}"
stream_port = "{{.Streaming.Port}}"
[crio.runtime]
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
apparmor_profile = "unconfined"
container_exits_dir = "{{.Directory}}/exits"
container_attach_socket_dir = "{{.Directory}}/attach"
namespaces_dir = "{{.Directory}}/namespaces"
pinns_path = "{{env "` + crioVariable + `"}}/pinns"
enable_criu_support = false
default_runtime = "runc"
[crio.runtime.runtimes.runc]
runtime_root = "{{.Directory}}/runc"
monitor_cgroup = "pod"
[crio.image]
pause_image = "{{.Image}}"
pause_command = "{{.Keeper}}"
signature_policy_dir = "{{.Directory}}/policies"
[crio.network]
network_dir = "{{.Directory}}/cni"
plugin_dirs = ["/usr/lib/cni"]
[crio.nri]
enable_nri = false
`))
