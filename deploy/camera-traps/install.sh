#!/bin/sh
# SPDX-License-Identifier: MIT
# The image's last stage: install.sh PROGRAM [ROOT] installs the libraries that the program needs, and the
# program itself. With ROOT, a directory that stands for /, no package is touched.
#
# The capabilities are permitted and not effective (+p): the kernel starts the file also where the container
# may not have them, and the program raises those that there are.
#   perfmon          the kernel's energy counters (perf events), from Linux 5.8 on
#   dac_read_search  /sys/class/powercap and other counters that only root may read
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$TOP/scripts/setup.sh"

program=${1:?"usage: install.sh PROGRAM [ROOT]"}
root=${2:-}
bin=$root/usr/local/bin

had_setcap=yes
if [ -z "$root" ]; then
    command -v setcap >/dev/null || had_setcap=
    need_packages libjansson4 libstdc++6 libzmq5 tzdata libcap2-bin
fi

install -D -m 755 "$program" "$bin/powermeasure"
setcap cap_perfmon,cap_dac_read_search+p "$bin/powermeasure"
install -m 755 "$TOP/deploy/camera-traps/entry.sh" "$bin/powermeasure-entry"

# For whoever mounts nothing there; and whoever the container runs as.
install -d -m 1777 "$root/logs"

if [ -z "$root" ]; then
    [ -n "$had_setcap" ] || apt-get purge -y -q --auto-remove libcap2-bin
    rm -rf /var/lib/apt/lists/*
fi
