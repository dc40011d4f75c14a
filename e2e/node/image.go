package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Busybox is the image that every node has, and that pods are made of.
const Busybox = "exectape.invalid/busybox:e2e"

const (
	busybox = "/bin/busybox" // of Debian's busybox-static

	// keeper is the process of a pod without one of its own, as "pause" is
	// elsewhere.
	keeper = "/bin/keeper"
)

const keeperScript = `#!/bin/sh
trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
`

// An Image is one layer and how to start what is in it.
type Image struct {
	Name       string
	Layer      []byte // a tar archive
	Entrypoint []string
	Command    []string
	Env        []string
}

// Write writes the image as "docker save" would.
func (i Image) Write(w io.Writer) error {
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Env": i.Env, "Entrypoint": i.Entrypoint, "Cmd": i.Command},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{digest(i.Layer)}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config":   "config.json",
		"RepoTags": []string{i.Name},
		"Layers":   []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	archive := archive{tar.NewWriter(w)}
	for name, content := range map[string][]byte{"config.json": config, "layer.tar": i.Layer, "manifest.json": manifest} {
		if err := archive.file(name, 0o644, content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// busyboxImage returns the image called Busybox: busybox, each of its applets, and
// the keeper.
func busyboxImage() (Image, error) {
	layer, err := busyboxLayer()
	return Image{Name: Busybox, Layer: layer, Entrypoint: []string{keeper}, Env: []string{"PATH=/bin"}}, err
}

func busyboxLayer() ([]byte, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", busybox, err)
	}
	var layer bytes.Buffer
	a := archive{tar.NewWriter(&layer)}
	for _, directory := range []string{"bin", "dev", "etc", "proc", "sys", "tmp"} {
		if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: directory + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet == "busybox" {
			continue
		}
		if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox"}); err != nil {
			return nil, err
		}
	}
	if err := a.file("bin/busybox", 0o755, program); err != nil {
		return nil, err
	}
	if err := a.file(strings.TrimPrefix(keeper, "/"), 0o755, []byte(keeperScript)); err != nil {
		return nil, err
	}
	return layer.Bytes(), a.Close()
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

type archive struct{ *tar.Writer }

func (a archive) file(name string, mode int64, content []byte) error {
	if err := a.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := a.Write(content)
	return err
}
