package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// coverSystem lays a cover over the directories below which the kubelet and CNI
// have fixed paths. What they write ends with the mount namespace.
func (c *Cluster) coverSystem() error {
	for _, name := range []string{"var", "etc"} {
		upper, work := c.file("over-"+name), c.file("over-"+name+"-work")
		for _, directory := range []string{upper, work} {
			if err := os.Mkdir(directory, 0o755); err != nil {
				return err
			}
		}
		options := fmt.Sprintf("lowerdir=/%s,upperdir=%s,workdir=%s", name, upper, work)
		if err := unix.Mount("overlay", "/"+name, "overlay", 0, options); err != nil {
			return fmt.Errorf("cover /%s: %w", name, err)
		}
	}
	return nil
}

// shareState puts containerd's state where it is on every node, and has what is
// mounted there seen by whoever asks for it, as below an init that is systemd.
func (c *Cluster) shareState() error {
	const state = "/run/containerd"
	if err := unix.Mount("", "/run", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("share /run: %w", err)
	}
	if err := os.MkdirAll(state, 0o711); err != nil {
		return err
	}
	if err := unix.Mount(c.node.State(), state, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount containerd's state: %w", err)
	}
	return nil
}

// makeNetwork gives the node an address beside the loopback, which a node's may
// not be.
func (c *Cluster) makeNetwork() error {
	for _, command := range []string{
		"ip link add node type bridge",
		"ip address add " + address + "/24 dev node",
		"ip link set node up",
		"ip route add default dev node",
	} {
		words := strings.Fields(command)
		if said, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", command, err, said)
		}
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"ip_forward": "1",
		// A client that pings a runtime which has said its last, and closed, loses
		// what of that is on its way: with or without exectape. kubectl pings after
		// five seconds, and to copy a file may just take as long. So little is.
		"tcp_wmem": "4096 16384 262144",
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}
