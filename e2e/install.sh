#!/bin/sh
# Installs what the tests and the demo need beside Go, as far as it is missing.
# Who is not root, or not on Debian, is told what that is: the tests that need
# it are skipped.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=

# need TEST PACKAGE: unless TEST succeeds, PACKAGE is missing.
need() { eval "$1" >/dev/null 2>&1 || missing="$missing $2"; }

need 'command -v gcc' gcc # for the race detector
need '[ -e /usr/include/stdlib.h ]' libc6-dev
need 'command -v make' make
need 'command -v iptables-nft && command -v iptables-legacy' iptables
need 'command -v containerd && command -v ctr' containerd
need 'command -v runc' runc
need 'dpkg-query -W busybox-static' busybox-static # the one in a VM's initramfs is not static
need 'command -v mkfs.ext4' e2fsprogs
need 'command -v ip' iproute2
need 'command -v nsenter && command -v unshare' util-linux
need 'command -v strace' strace
need 'command -v asciinema' asciinema
need 'command -v nginx' nginx

[ "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "not installed:$missing; as root on Debian: apt-get install$missing" >&2
	exit 0
fi
"$(dirname "$0")/apt-get.sh" $missing
