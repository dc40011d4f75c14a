#!/bin/sh
# Installs what the bench needs beside Go, as far as it is missing: what the
# end-to-end tests need, and haproxy. Who is not root measures without.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
e2e/install.sh
command -v haproxy >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "not installed: haproxy; as root on Debian: apt-get install haproxy" >&2
	exit 0
fi
e2e/apt-get.sh haproxy || echo "measured without haproxy" >&2
