#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds the real event engine into the build directory, once for each state of its sources.

Its crates come from the Rust registry. Where that cannot be had there is a reason in words, and the
tests that need the engine are skipped with it; an engine that does not compile is a failure."""

import argparse
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = [HERE / "Cargo.toml", HERE / "src/main.rs"]
TIMEOUT_S = 900


class Unavailable(Exception):
    """There is no engine on this machine; the text says why."""


def _cargo(directory, *arguments):
    # Few attempts, short ones: without a network the tests must not stand still for minutes.
    env = dict(os.environ, CARGO_TARGET_DIR=str(directory / "target"), CARGO_NET_RETRY="1",
               CARGO_HTTP_TIMEOUT="20", CARGO_TERM_COLOR="never")
    return subprocess.run(["cargo", *arguments], cwd=directory, env=env, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=TIMEOUT_S)


def _check_cargo(directory):
    if not shutil.which("cargo"):
        raise Unavailable("the event engine is a Rust program and there is no cargo here")
    done = _cargo(directory, "--version")
    version = re.match(r"cargo (\d+)\.(\d+)", done.stdout)
    if done.returncode != 0 or not version:
        raise Unavailable(f"cargo does not work here: {done.stdout.strip()}")
    needed = re.search(r'^rust-version = "(\d+)\.(\d+)"', SOURCES[0].read_text(), re.M)
    if tuple(map(int, version.groups())) < tuple(map(int, needed.groups())):
        raise Unavailable(f"{done.stdout.strip()} is older than {'.'.join(needed.groups())}, "
                          "which the event engine's crates need")


def _build(directory):
    _check_cargo(directory)
    # Beside the sources cargo would leave its lock file.
    for source in SOURCES:
        copy = directory / source.relative_to(HERE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    done = _cargo(directory, "fetch")
    if done.returncode != 0:
        # The last of its causes is the one that all others follow from.
        raise Unavailable("the event engine's crates cannot be fetched: "
                          + done.stdout.strip().splitlines()[-1].strip()[-100:])
    done = _cargo(directory, "build", "--offline")
    if done.returncode != 0:
        raise RuntimeError(f"the event engine does not compile:\n{done.stdout}")


def engine_program(build):
    """The path of the engine, built if need be. Raises Unavailable."""
    directory = pathlib.Path(build).resolve() / "engine"
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "target/debug/test-engine"
    state = hashlib.sha256(b"\0".join(s.read_bytes() for s in SOURCES)).hexdigest()
    built = directory / "built"
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (program.exists() and built.exists() and built.read_text() == state):
            _build(directory)
            built.write_text(state)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    try:
        print(engine_program(parser.parse_args().build))
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
