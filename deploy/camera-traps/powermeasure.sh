#!/bin/sh
# SPDX-License-Identifier: MIT
# powermeasure with as many of its capabilities as the container has. What cannot be read without the
# others is said by the program, and why.
trap 'exit 0' TERM INT
libexec=$(dirname "$0")/../libexec/powermeasure
for capabilities in both perfmon dac_read_search; do
    if "$libexec/$capabilities/powermeasure" --version >/dev/null 2>&1; then
        exec "$libexec/$capabilities/powermeasure" "$@"
    fi
done
exec "$libexec/none/powermeasure" "$@"
