package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"exectape/e2e/node"
	"exectape/e2e/recorder"
)

// CastDirectory is where the exectape of the manifests keeps its casts.
const CastDirectory = "/var/lib/exectape/casts"

// imageName is the one in the manifests, as the node knows it.
const imageName = "docker.io/library/exectape:dev"

// Exectape is the program that Install has built.
func (c *Cluster) Exectape() string {
	if c.node == nil {
		return "exectape"
	}
	return c.file("exectape")
}

// Install builds exectape's image from the source in directory source, and
// gives it to the node, as "kind load" does. Where somebody else has started the
// cluster that is done already.
func (c *Cluster) Install(ctx context.Context, source string) error {
	if c.node == nil {
		return nil
	}
	binary, err := recorder.Build(ctx, source, c.Directory)
	if err != nil {
		return err
	}
	root := c.file("image")
	makeRoot := exec.CommandContext(ctx, filepath.Join(source, "deploy/rootfs.sh"), binary, root)
	if said, err := makeRoot.CombinedOutput(); err != nil {
		return fmt.Errorf("make the image's file system: %w\n%s", err, said)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.AddFS(os.DirFS(root)); err != nil {
		return fmt.Errorf("make the image's layer: %w", err)
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.node.Import(ctx, node.Image{
		Name: imageName, Layer: layer.Bytes(), Entrypoint: []string{"/usr/bin/exectape"}, Command: []string{"run"},
	})
}
