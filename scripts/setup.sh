# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by ./run and ./test: gets what is missing from Debian's packages, and builds.
# Expects TOP, the directory of the project.

# A package that has another name in some systems is written with all its names: a|b.
build_packages="gcc g++ libc6-dev meson ninja-build pkg-config|pkgconf libzmq3-dev libjansson-dev
    libflatbuffers-dev flatbuffers-compiler libncurses-dev|libncursesw5-dev"
test_packages="libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-zmq
    python3-flatbuffers python3-jsonschema python3-yaml procps tmux libcap2-bin
    libfuse3-dev fuse3"
# For ./test --kernel: an emulated machine, and what is built for it and runs in it.
kernel_packages="qemu-system-x86 busybox-static kmod acpica-tools make libelf1"

# Where there are no Debian packages: a command, or ".name" for pkg-config's name of a library, and
# the Debian package that holds it.
build_needs="cc=gcc c++=g++ meson=meson ninja=ninja-build pkg-config=pkg-config
    flatc=flatbuffers-compiler .libzmq=libzmq3-dev .jansson=libjansson-dev .ncursesw=libncurses-dev"

is_installed() {
    case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in
        *"ok installed") return 0 ;;
        *) return 1 ;;
    esac
}

# name_of A|B: the name that is installed, else the first that can be had here, else nothing.
name_of() {
    names=$(printf '%s' "$1" | tr '|' ' ')
    for name in $names; do
        if is_installed "$name"; then
            echo "$name"
            return
        fi
    done
    for name in $names; do
        if apt-cache policy "$name" 2>/dev/null | grep -q 'Candidate: [^(]'; then
            echo "$name"
            return
        fi
    done
}

# Of the packages given, with all their names, those of which none is installed.
missing_packages() {
    for package in "$@"; do
        name=$(name_of "$package")
        if [ -z "$name" ] || ! is_installed "$name"; then
            printf '%s ' "$package"
        fi
    done
}

# What to install: each package's name here, or its first name where no list of packages is there yet.
names_to_install() {
    for package in "$@"; do
        name=$(name_of "$package")
        printf '%s ' "${name:-${package%%|*}}"
    done
}

# Says which packages there are not, under any of their names, and fails if there are any.
all_can_be_had() {
    unknown=
    for package in "$@"; do
        [ -n "$(name_of "$package")" ] || unknown="$unknown ${package%%|*}"
    done
    [ -n "$unknown" ] || return 0
    echo "apt-get does not know these packages here:$unknown" >&2
    echo "If it should, check the network and the sources in /etc/apt." >&2
    return 1
}

what_works_without() {
    cat >&2 <<END
The build needs Meson 0.53, FlatBuffers 1.12, libzmq 4.3, Jansson 2.12 and GCC 9 or Clang 11, as Debian 11
and Ubuntu 20.04 have them. What works on older systems:
  - a program built on Debian 11, with glibc 2.29, libzmq.so.5, libjansson.so.4 and libncursesw.so.6
  - a newer Meson alone: python3 -m pip install --user meson ninja
  - sending events from Python 3.8: see python/README.md
  - phase markers in C and C++ programs: include/powermeasure_phase.h needs no build
END
}

need_elsewhere() {
    missing=
    for need in $build_needs; do
        thing=${need%%=*}
        case $thing in
            .*) pkg-config --exists "${thing#.}" 2>/dev/null || missing="$missing ${need#*=}" ;;
            *) command -v "$thing" >/dev/null || missing="$missing ${need#*=}" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    echo "This is not a Debian system, and something is missing. Install what these Debian" \
        "packages hold, then start this again:" >&2
    echo " $missing" >&2
    exit 1
}

# Installs the packages that are missing, as root or by sudo; else says what to type and fails.
need_packages() {
    if ! command -v dpkg-query >/dev/null; then
        need_elsewhere
        return 0
    fi
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null; then
        as_root=sudo
    else
        # shellcheck disable=SC2086
        missing=$(names_to_install $missing)
        echo "Packages are missing, and installing them takes root or sudo. As root, type:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends $missing" >&2
        echo "and then start this again." >&2
        exit 1
    fi
    $as_root apt-get update -q >&2 || true
    # shellcheck disable=SC2086
    if ! all_can_be_had $missing; then
        what_works_without
        exit 1
    fi
    # shellcheck disable=SC2086
    missing=$(names_to_install $missing)
    echo "Installing: $missing" >&2
    # shellcheck disable=SC2086
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
            if grep -qE "project requires|but need|is missing" "$directory.log"; then
                what_works_without
            fi
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
