#!/bin/sh
# Installs what the tests of the browser's player need, as far as it is missing:
# Chromium (300 MB) and, in this directory, asciinema-player as package-lock.json
# has it. Nothing of either is run but by the tests.
set -eu
cd "$(dirname "$0")"
missing=

# need PROGRAM PACKAGE: unless there is PROGRAM, PACKAGE is missing.
need() { command -v "$1" >/dev/null || missing="$missing $2"; }

need chromium chromium
need npm npm

if [ "$missing" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "not installed:$missing; as root on Debian: apt-get install$missing" >&2
		exit 1
	fi
	../apt-get.sh $missing
fi
# It is there if what was installed is what is locked.
if ! npm ls --all >/dev/null 2>&1; then
	echo "npm ci"
	npm ci --ignore-scripts --no-audit --no-fund >/dev/null
fi
