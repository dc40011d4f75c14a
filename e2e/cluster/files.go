package cluster

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"text/template"
)

// address is the node's own, on a bridge that leads nowhere.
const address = "10.99.0.1"

// The tokens by which the API server knows who asks. It listens on the loopback
// of a network that ends with the test.
const tokens = `owner,owner,owner,system:masters
node,system:node:` + NodeName + `,node,system:nodes
`

var kubeconfig = template.Must(template.New("").Parse(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: {{.}}, user: {token: {{.}}}}]
contexts: [{name: test, context: {cluster: test, user: {{.}}}}]
current-context: test
`))

// It keeps pods whatever the machine is short of: eviction is none of what is
// tested.
var kubeletConfiguration = template.Must(template.New("").Parse(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: {{.Cgroup}}
cgroupsPerQOS: false
enforceNodeAllocatable: []
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://{{.Socket}}
imageServiceEndpoint: unix://{{.Socket}}
podLogsDir: {{.Directory}}/podlogs
resolvConf: ""
localStorageCapacityIsolation: false
evictionHard: {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.inodesFree": "0%"}
imageGCHighThresholdPercent: 100
enableControllerAttachDetach: false
nodeStatusUpdateFrequency: 2s
`))

// podNetwork is for pods that don't have the node's network.
const podNetwork = `{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.98.0.0/24"}]]}},
  {"type": "loopback"}
]}
`

func (c *Cluster) writeFiles() error {
	key, err := newKey()
	if err != nil {
		return err
	}
	var kubelet, owner, node bytes.Buffer
	err = kubeletConfiguration.Execute(&kubelet, map[string]string{"Socket": c.node.Socket(), "Directory": c.Directory, "Cgroup": c.node.Cgroup()})
	if err != nil {
		return err
	}
	for name, w := range map[string]*bytes.Buffer{"owner": &owner, "node": &node} {
		if err := kubeconfig.Execute(w, name); err != nil {
			return err
		}
	}
	for name, content := range map[string][]byte{
		"tokens":             []byte(tokens),
		"serviceaccount.key": key,
		"kubelet.yaml":       kubelet.Bytes(),
		"admin.kubeconfig":   owner.Bytes(),
		"kubelet.kubeconfig": node.Bytes(),
	} {
		if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
			return err
		}
	}
	return c.node.ConfigureNetwork(podNetwork)
}

// newKey makes the key that service accounts' tokens are signed with.
func newKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("service accounts' key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
