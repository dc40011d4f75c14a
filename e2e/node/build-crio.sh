#!/usr/bin/env bash
# Builds CRI-O from its Go module, as far as it is not built yet:
# e2e/node/build-crio.sh VERSION, as in v1.34.0
#
# Prints the directory of crio and its pinns, which is outside the repository and
# named after the version: the next run finds them there. With that directory in
# EXECTAPE_TEST_CRIO the tests run on this CRI-O instead of containerd.
set -euo pipefail
version=$1
out=${EXECTAPE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exectape}/crio-$version
module=github.com/cri-o/cri-o

mkdir -p "$out"
exec 9>"$out/lock"
flock 9 # another run may be building it
if [ ! -x "$out/crio" ] || [ ! -x "$out/pinns" ]; then
	echo "building CRI-O $version, once: with cold caches that takes about 3 minutes" >&2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	source=$(go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	# Without the libraries that it could link with, which nothing here needs.
	CGO_ENABLED=0 go -C "$source" build -trimpath -ldflags '-s -w' -o "$work/" \
		-tags 'containers_image_openpgp exclude_graphdriver_btrfs libdm_no_deviceid' ./cmd/crio
	gcc -Os -static -o "$work/pinns" "$source"/pinns/src/*.c
	mv "$work"/* "$out"/
fi
echo "$out"
