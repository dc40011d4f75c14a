#!/bin/sh
# Makes the file system of exectape's image: deploy/rootfs.sh BINARY DIRECTORY
#
# It has what exectape runs and nothing else, no shell either: the binary, both
# of Debian's iptables, and what those load. The Dockerfile runs it in a Debian
# of its own; tests run it on theirs, where there is no container engine.
set -eu
binary=$1 root=$2

# copy FILE: to the same place below root, a link as what it leads to. /lib and
# /sbin are links to what is in /usr; what is loaded by those names is found by
# the links made below.
copy() {
	to=$root$(dirname "$1")
	mkdir -p "$to"
	cp -L "$1" "$to/"
}

mkdir -p "$root/usr/lib" "$root/usr/lib64" "$root/usr/sbin" "$root/etc" "$root/run" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
ln -s usr/sbin "$root/sbin"
install -D -m 755 "$binary" "$root/usr/bin/exectape"

for backend in nft legacy; do
	program=/usr/sbin/xtables-$backend-multi
	copy "$program"
	for library in $(ldd "$program" | grep -o '/[^ ]*'); do
		copy "$library"
	done
	for family in iptables ip6tables; do
		for name in $family-$backend $family-$backend-save $family-$backend-restore; do
			ln -s "xtables-$backend-multi" "$root/usr/sbin/$name"
		done
	done
done

# The matches and targets. iptables-save needs one for every rule on the node,
# not only for ours.
for extension in $(dirname "$(find /usr/lib -name libxt_comment.so)")/*.so; do
	copy "$extension"
done
