// Package node makes the part of a Kubernetes node that exectape lives on: a
// real containerd, or CRI-O, with its CRI streaming server, and pods on it, without
// a registry, a kubelet or a cluster.
//
// All of it is in mount, network and process namespaces of its own, which end
// when the program does, however it ends (see [Enter]). The machine's own
// network, mounts and /run are not touched; only cgroups, which runc can't do
// without, are made in the machine's tree and removed when the namespaces have
// ended.
//
// It plays no kubelet: who opens the sessions is package kubelet.
package node
