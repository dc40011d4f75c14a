#!/usr/bin/env bash
# Builds Kubernetes from its Go module, as far as it is not built yet:
# e2e/cluster/build.sh VERSION, as in v1.37.2
#
# Prints the directory of the binaries, which is outside the repository and
# named after the version: the next run finds them there. The module
# k8s.io/kubernetes replaces its own parts by directories that a module can't
# have; they are published apart, under v0.37.2, and taken from there.
set -euo pipefail
version=$1
parts=v0.${version#v1.}
cache=${EXECTAPE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exectape}
out=$cache/kubernetes-$version
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl)

complete() {
	local p
	for p in "${programs[@]}"; do
		[ -x "$out/$p" ] || return 1
	done
}

if complete; then
	echo "$out"
	exit 0
fi
mkdir -p "$out"
exec 9>"$out/lock"
flock 9
if complete; then # another run has built them meanwhile
	echo "$out"
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo "building Kubernetes $version, once: with cold caches that takes up to 25 minutes" >&2
source=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
go mod init build 2>/dev/null
go mod edit -go="$(awk '/^go /{print $2}' "$source/go.mod")" -require="k8s.io/kubernetes@$version"
awk '/=> \.\/staging\/src\//{print $1}' "$source/go.mod" | while read -r module; do
	go mod edit -replace="$module=$module@$parts"
done
default=$(awk '/^godebug default=/{print $2}' "$source/go.mod")
[ -z "$default" ] || go mod edit -godebug="$default"
{
	echo 'package build'
	printf 'import _ "k8s.io/kubernetes/cmd/%s"\n' "${programs[@]}"
} >imports.go
# Fills go.sum. It complains of the commands, which can't be imported.
go get "k8s.io/kubernetes@$version" >/dev/null 2>&1 || true

stamp=
for path in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	stamp+=" -X $path.gitVersion=$version -X $path.gitMajor=1 -X $path.gitMinor=$(cut -d. -f2 <<<"$version")"
done
# One build for all of them takes half as long as one after another.
CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w$stamp" -o "$work/bin/" "${programs[@]/#/k8s.io/kubernetes/cmd/}"
mv "$work"/bin/* "$out"/
echo "$out"
