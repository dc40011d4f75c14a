#!/bin/sh
# Installs what a cluster needs beside what e2e/install.sh installs.
set -eu
cd "$(dirname "$0")"
../install.sh
missing=
[ -x /usr/bin/etcd ] || missing="$missing etcd-server"
[ -x /usr/lib/cni/bridge ] || missing="$missing containernetworking-plugins"
command -v npm >/dev/null || missing="$missing npm"
if [ "$missing" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "not installed:$missing; as root on Debian: apt-get install$missing" >&2
		exit 1
	fi
	../apt-get.sh $missing
fi
# Kubernetes' JavaScript client is there if what was installed is what is locked.
cd javascript
if ! npm ls --all >/dev/null 2>&1; then
	echo "npm ci"
	npm ci --ignore-scripts --no-audit --no-fund >/dev/null
fi
