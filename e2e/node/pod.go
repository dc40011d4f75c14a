package node

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"exectape/e2e/kubelet"
)

// A Pod is in the node's network, as a pod with hostNetwork is, and so needs no
// network of its own.
type Pod struct {
	node   *Node
	id     string
	config *cri.PodSandboxConfig

	mu         sync.Mutex
	containers []string // by their ids
}

// namespaces are what a pod's containers have of the node's, and of each other's.
func (n *Node) namespaces() *cri.NamespaceOption {
	return &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: n.processes}
}

// RunPod starts a pod.
func (n *Node) RunPod(ctx context.Context, name string) (*Pod, error) {
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "default", Uid: name},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    n.Cgroup(),
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: n.namespaces()},
		},
	}
	sandbox, err := n.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return nil, fmt.Errorf("run pod %s: %w", name, err)
	}
	return &Pod{node: n, id: sandbox.GetPodSandboxId(), config: config}, nil
}

// PortForward returns the URL of a port-forward to the pod.
func (p *Pod) PortForward(ctx context.Context, port int32) (*url.URL, error) {
	answer, err := p.node.runtime.PortForward(ctx, &cri.PortForwardRequest{PodSandboxId: p.id, Port: []int32{port}})
	if err != nil {
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	return url.Parse(answer.GetUrl())
}

// A Container is a running one.
type Container struct {
	node    *Node
	id      string
	process kubelet.Process
}

// RunContainer starts a container in the pod. What its owner may say of it
// besides, such as labels, more can set.
func (p *Pod) RunContainer(ctx context.Context, name string, process kubelet.Process, more ...func(*cri.ContainerConfig)) (*Container, error) {
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name},
		Labels: map[string]string{ // a kubelet's
			"io.kubernetes.pod.namespace":  p.config.GetMetadata().GetNamespace(),
			"io.kubernetes.pod.name":       p.config.GetMetadata().GetName(),
			"io.kubernetes.container.name": name,
		},
		Image:   &cri.ImageSpec{Image: Busybox},
		Command: process.Command,
		Stdin:   process.Stdin,
		Tty:     process.TTY,
		Linux: &cri.LinuxContainerConfig{
			SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: p.node.namespaces()},
		},
	}
	for _, set := range more {
		set(config)
	}
	created, err := p.node.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: p.id, SandboxConfig: p.config, Config: config})
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", name, err)
	}
	c := &Container{node: p.node, id: created.GetContainerId(), process: process}
	_, err = p.node.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: c.id})
	if err != nil {
		return nil, fmt.Errorf("start container %s: %w", name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.containers = append(p.containers, c.id)
	return c, nil
}

// ID is what the runtime calls it.
func (c *Container) ID() string { return c.id }

// Probe runs a command as an exec probe does, without a session, but has the
// time that ctx gives it.
func (c *Container) Probe(ctx context.Context, command ...string) error {
	answer, err := c.node.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: c.id, Cmd: command})
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if code := answer.GetExitCode(); code != 0 {
		return fmt.Errorf("probe: exit code %d", code)
	}
	return nil
}

// Exec implements [kubelet.Runtime].
func (c *Container) Exec(ctx context.Context, process kubelet.Process) (*url.URL, error) {
	answer, err := c.node.runtime.Exec(ctx, &cri.ExecRequest{
		ContainerId: c.id,
		Cmd:         process.Command,
		Stdin:       process.Stdin,
		Stdout:      true,
		Stderr:      !process.TTY,
		Tty:         process.TTY,
	})
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	return url.Parse(answer.GetUrl())
}

// Attach returns the URL at which the container's own process is attached to.
func (c *Container) Attach(ctx context.Context) (*url.URL, error) {
	answer, err := c.node.runtime.Attach(ctx, &cri.AttachRequest{
		ContainerId: c.id,
		Stdin:       c.process.Stdin,
		Stdout:      true,
		Stderr:      !c.process.TTY,
		Tty:         c.process.TTY,
	})
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	return url.Parse(answer.GetUrl())
}

// Remove stops and removes the pod, with all its containers.
func (p *Pod) Remove(ctx context.Context) error {
	if p.node.processes == cri.NamespaceMode_CONTAINER {
		// A process 1 heeds no SIGTERM that it has not asked for.
		for _, id := range p.containers {
			if _, err := p.node.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id}); err != nil {
				return fmt.Errorf("stop container %s: %w", id, err)
			}
		}
	}
	if _, err := p.node.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id}); err != nil {
		return fmt.Errorf("stop pod %s: %w", p.Name(), err)
	}
	if _, err := p.node.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id}); err != nil {
		return fmt.Errorf("remove pod %s: %w", p.Name(), err)
	}
	return nil
}

// Name is the pod's.
func (p *Pod) Name() string { return p.config.GetMetadata().GetName() }
