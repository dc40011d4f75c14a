#!/usr/bin/env bash
# Runs each fuzz target of both modules: tools/fuzz.sh [TIME [TARGET]]
#
# Before Go 1.27, go test -fuzz can fail with nothing but "context deadline
# exceeded" when the time is up (golang/go#75804). That is no finding: a
# finding names the input that it wrote.
#
# Every run begins with the committed corpus alone: what earlier ones have
# cached can take longer to go through than a short run lasts.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-5s} only=${2:-.}
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT

fuzz() { # DIRECTORY TARGET
	local log status=0
	log=$(go -C "$1" test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 20x -timeout 2h . -test.fuzzcachedir="$cache" 2>&1) || status=$?
	if [ $status = 0 ] || { grep -q 'context deadline exceeded' <<<"$log" && ! grep -q 'Failing input' <<<"$log"; }; then
		echo "$1 $2: $(grep -o 'execs: [0-9]*' <<<"$log" | tail -n 1), no finding"
		return
	fi
	printf '%s\n' "$log"
	return 1
}

grep -rEo --include='*_test.go' '^func Fuzz\w+' . | sort | while IFS=': ' read -r file _ target; do
	if [[ $target =~ $only ]]; then
		fuzz "${file%/*}" "$target"
	fi
done
