#!/bin/sh
# SPDX-License-Identifier: MIT
# The image's last stage: install.sh PROGRAM [ROOT] installs the libraries that the program needs, and the
# program itself. With ROOT, a directory that stands for /, no package is touched.
#
# The program is there once for each set of capabilities, because the kernel refuses to start a file that
# has one which the container may not have; powermeasure.sh takes the first that it starts.
#   perfmon          the kernel's energy counters (perf events), from Linux 5.8 on
#   dac_read_search  /sys/class/powercap and other counters that only root may read
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$TOP/scripts/setup.sh"

program=${1:?"usage: install.sh PROGRAM [ROOT]"}
root=${2:-}
libexec=$root/usr/local/libexec/powermeasure

had_setcap=yes
if [ -z "$root" ]; then
    command -v setcap >/dev/null || had_setcap=
    need_packages libjansson4 libstdc++6 libzmq5 tzdata libcap2-bin
fi

copy() {
    install -D -m 755 "$program" "$libexec/$1/powermeasure"
    [ -z "$2" ] || setcap "$2" "$libexec/$1/powermeasure"
}
copy both cap_perfmon,cap_dac_read_search+ep
copy perfmon cap_perfmon+ep
copy dac_read_search cap_dac_read_search+ep
copy none ""
install -D -m 755 "$TOP/deploy/camera-traps/powermeasure.sh" "$root/usr/local/bin/powermeasure"

# For whoever mounts nothing there; and whoever the container runs as.
install -d -m 1777 "$root/logs"

if [ -z "$root" ]; then
    [ -n "$had_setcap" ] || apt-get purge -y -q --auto-remove libcap2-bin
    rm -rf /var/lib/apt/lists/*
fi
