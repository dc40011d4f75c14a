// Package cluster is a Kubernetes of one node, of real components: etcd, the
// API server, the controller manager, the scheduler, the kubelet and, from
// package node, containerd. It is there to be tested in, and safe for nothing
// else.
//
// It runs inside the namespaces of package node and ends with them. It has no
// service network: nothing here needs one.
package cluster
