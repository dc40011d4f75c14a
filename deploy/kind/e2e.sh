#!/usr/bin/env bash
# Runs the tests of e2e/cluster in a cluster that kind makes: deploy/kind/e2e.sh
#
# It takes docker, kind, kubectl, npm and Go. It makes a cluster of its own,
# loads the image, deploys exectape by the overlay beside it, asserts, and
# removes the cluster. What it asserts is what "make cluster-test" does, where
# there is no container engine.
set -euo pipefail
cd "$(dirname "$0")/../.."

cluster=exectape-e2e
node=$cluster-control-plane
busybox=${BUSYBOX:-busybox:1.37} # what the tests' pods are made of
work=$(mktemp -d)

remove() {
	kind delete cluster --name "$cluster"
	rm -rf "$work"
}
trap remove EXIT

docker build --tag exectape:dev .
docker pull "$busybox"
docker tag "$busybox" exectape.invalid/busybox:e2e

kind create cluster --name "$cluster" --kubeconfig "$work/kubeconfig" --wait 2m
kind load docker-image --name "$cluster" exectape:dev exectape.invalid/busybox:e2e

# Kubernetes' JavaScript client is one of those whose sessions are looked at.
(cd e2e/cluster/javascript && npm ci --ignore-scripts --no-audit --no-fund >/dev/null)

# The tests look at the casts where they are: on the node.
CGO_ENABLED=0 go build -trimpath -o "$work/exectape" ./cmd/exectape
docker cp "$work/exectape" "$node:/usr/local/bin/exectape"

EXECTAPE_TEST_KUBECONFIG=$work/kubeconfig EXECTAPE_TEST_NODE="docker exec $node" \
	go -C e2e test -count=1 -timeout 30m -v ./cluster
