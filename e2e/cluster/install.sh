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
	echo "apt-get install$missing"
	# Its package would start etcd on a machine that has an init; the test's own
	# is all that is wanted.
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	if ! log=$(apt-get -y install --no-install-recommends $missing 2>&1 </dev/null); then
		printf '%s\n' "$log" "apt-get could not install$missing" >&2
		exit 1
	fi
fi
# Kubernetes' JavaScript client is there if what was installed is what is locked.
cd javascript
if ! npm ls --all >/dev/null 2>&1; then
	echo "npm ci"
	npm ci --ignore-scripts --no-audit --no-fund >/dev/null
fi
