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
echo "apt-get install haproxy"
export DEBIAN_FRONTEND=noninteractive
# Nothing is started.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
fi
if ! log=$({ apt-get -y update && apt-get -y install --no-install-recommends haproxy; } 2>&1 </dev/null); then
	printf '%s\n' "$log" "apt-get could not install haproxy: measured without" >&2
	exit 0
fi
systemctl disable haproxy >/dev/null 2>&1 || true
