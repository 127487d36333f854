#!/bin/sh
# SPDX-License-Identifier: MIT
# The image's entry point. A container that is started as root, as where the installer was told
# run_containers_as_user: false, writes its files as the owner of the directory that is mounted for them: root's
# files there are a nuisance to their reader. Not with no-new-privileges, which takes the program's own
# capabilities away from everybody but root.
trap 'exit 0' TERM INT
program=/usr/local/bin/powermeasure
if [ "$(id -u)" = 0 ] && ! grep -q '^NoNewPrivs:.*1$' /proc/self/status; then
    owner=$(stat -c %u "${TRAPS_POWER_LOG_PATH:-/logs}" 2>/dev/null || echo 0)
    group=$(stat -c %g "${TRAPS_POWER_LOG_PATH:-/logs}" 2>/dev/null || echo 0)
    if [ "$owner" != 0 ]; then
        exec setpriv --reuid "$owner" --regid "$group" --keep-groups "$program" "$@"
    fi
fi
exec "$program" "$@"
