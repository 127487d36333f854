# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by ./run and ./test: gets what is missing from Debian's packages, and builds.
# Expects TOP, the directory of the project.

build_packages="gcc g++ libc6-dev meson ninja-build pkg-config libzmq3-dev libjansson-dev
    libflatbuffers-dev flatbuffers-compiler libncurses-dev"
test_packages="libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-zmq
    python3-flatbuffers python3-jsonschema python3-yaml procps tmux libcap2-bin
    libfuse3-dev fuse3"
# For ./test --kernel: an emulated machine, and what is built for it and runs in it.
kernel_packages="qemu-system-x86 busybox-static kmod acpica-tools make libelf1"

missing_packages() {
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
            *"ok installed") ;;
            *) printf '%s ' "$package" ;;
        esac
    done
}

# Installs the packages that are missing, as root or by sudo; else says what to type and fails.
need_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "This is no Debian system. Install what these packages hold, then run" \
            "meson setup build && ninja -C build:" >&2
        echo "  $*" >&2
        exit 1
    fi
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null; then
        as_root=sudo
    else
        echo "Packages are missing, and installing them takes root or sudo. As root, type:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends $missing" >&2
        echo "and then start this again." >&2
        exit 1
    fi
    echo "Installing: $missing" >&2
    # shellcheck disable=SC2086
    $as_root apt-get update -q >&2 &&
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends $missing >&2 || {
        echo "The packages could not be installed. As root, type:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends $missing" >&2
        exit 1
    }
}

# build DIRECTORY [MESON OPTIONS]: configures once, then compiles what changed.
build() {
    directory=$1
    shift
    if [ ! -f "$directory/build.ninja" ]; then
        meson setup "$directory" "$TOP" "$@" >"$directory.log" 2>&1 || {
            cat "$directory.log" >&2
            echo "The build could not be set up; see above." >&2
            exit 1
        }
        rm -f "$directory.log"
    fi
    if ! output=$(ninja -C "$directory" 2>&1); then
        printf '%s\n' "$output" >&2
        echo "The build failed; see above." >&2
        exit 1
    fi
}
