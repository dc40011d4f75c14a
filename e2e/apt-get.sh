#!/bin/sh
# Installs packages of Debian's, as root: e2e/apt-get.sh PACKAGE...
#
# None of their programs is started: what the tests need running they run
# themselves.
set -eu
echo "apt-get install $*"
export DEBIAN_FRONTEND=noninteractive
if [ ! -e /usr/sbin/policy-rc.d ]; then
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
fi
# A machine that was just started may be updating itself.
if ! log=$({ apt-get -y update && apt-get -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "$@"; } 2>&1 </dev/null); then
	printf '%s\n' "$log" "apt-get could not install $*" >&2
	exit 1
fi
for package in "$@"; do # nor at the next boot
	case $package in
	nginx | haproxy) systemctl disable "$package" >/dev/null 2>&1 || true ;;
	etcd-server) systemctl disable etcd >/dev/null 2>&1 || true ;;
	esac
done
