#!/usr/bin/env bash
# Builds containerd from its Go module, as far as it is not built yet:
# e2e/node/build.sh VERSION, as in v2.4.2
#
# Prints the directory of containerd, its shim and ctr, which is outside the
# repository and named after the version: the next run finds them there. With
# that directory in EXECTAPE_TEST_CONTAINERD the tests run on this containerd
# instead of the one in PATH.
set -euo pipefail
version=$1
out=${EXECTAPE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exectape}/containerd-$version
module=github.com/containerd/containerd/${version%%.*}
programs=(containerd containerd-shim-runc-v2 ctr)

mkdir -p "$out"
exec 9>"$out/lock"
flock 9 # another run may be building it
missing=()
for program in "${programs[@]}"; do
	[ -x "$out/$program" ] || missing+=("$module/cmd/$program@$version")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "building containerd $version, once: with cold caches that takes about 3 minutes" >&2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	CGO_ENABLED=0 GOBIN=$work go install -trimpath -ldflags '-s -w' "${missing[@]}"
	mv "$work"/* "$out"/
fi
echo "$out"
