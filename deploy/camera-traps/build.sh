#!/bin/sh
# SPDX-License-Identifier: MIT
# The image's build stage: build.sh OUT installs what building takes, builds the project that this file
# lies in, which may be read-only, and leaves the program as OUT/powermeasure.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$TOP/scripts/setup.sh"

out=${1:?"usage: build.sh OUT"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2154,SC2086
need_packages $build_packages
build "$work/build" -Dtests=disabled -Dman=disabled
mkdir -p "$out"
strip -o "$out/powermeasure" "$work/build/src/powermeasure"
chmod 755 "$out/powermeasure"
