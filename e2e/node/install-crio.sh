#!/bin/sh
# Installs what CRI-O needs beside what e2e/install.sh installs.
set -eu
cd "$(dirname "$0")"
../install.sh
missing=
command -v conmon >/dev/null || missing="$missing conmon"
command -v skopeo >/dev/null || missing="$missing skopeo"
[ "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "not installed:$missing; as root on Debian: apt-get install$missing" >&2
	exit 1
fi
../apt-get.sh $missing
