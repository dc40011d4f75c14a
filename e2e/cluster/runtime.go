package cluster

import (
	"context"
	"fmt"
)

// RestartRuntime ends the node's containerd and starts it again. Its pods go on
// meanwhile.
func (c *Cluster) RestartRuntime(ctx context.Context) error {
	if c.node != nil {
		return c.node.Restart(ctx)
	}
	if said, err := c.OnNode(ctx, "systemctl", "restart", "containerd").CombinedOutput(); err != nil {
		return fmt.Errorf("restart containerd: %w\n%s", err, said)
	}
	return nil
}
