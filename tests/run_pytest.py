# SPDX-License-Identifier: MIT
"""Runs one of the groups of Python tests: `together`, several at a time, are those that mostly wait;
`alone`, one after the other, are those whose figures depend on real time; and `kernel` is what
tests/kernel has, one emulated machine at a time.

PM_JOBS is how many run at a time, PM_MATCH an expression as pytest's -k takes it."""

import importlib
import os
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent
SKIPPED_STATUS = 77
NONE_COLLECTED = 5  # pytest's

sys.path.insert(0, str(TESTS / "engine"))

import build_engine  # noqa: E402


def missing_module():
    """The first of the modules that all tests need which is not there, or None."""
    for name in "pytest", "xdist", "zmq", "flatbuffers":
        try:
            importlib.import_module(name)
        except ImportError:
            return name
    return None


def prepare_engine(build):
    """Builds what takes minutes before any test waits for it. Returns the environment by which the
    tests know that it cannot be had."""
    try:
        build_engine.engine_program(build)
    except build_engine.Unavailable as reason:
        return {"PM_NO_ENGINE": str(reason)}
    except (RuntimeError, subprocess.TimeoutExpired):
        pass  # the tests that need it fail with that
    return {}


def arguments_of(group):
    jobs = os.environ.get("PM_JOBS") or str(3 * (os.cpu_count() or 1))
    result = {"together": ["-m", "not alone", "-n", jobs, str(TESTS)],
              "alone": ["-m", "alone", "-n", "0", str(TESTS)],
              "kernel": ["-n", "0", "--durations=10", str(TESTS / "kernel")]}[group]
    return result + (["-k", os.environ["PM_MATCH"]] if os.environ.get("PM_MATCH") else [])


def main():
    group, build = sys.argv[1:]
    missing = missing_module()
    if missing:
        print(f"Python has no module {missing}")
        return SKIPPED_STATUS
    env = dict(os.environ, PM_BUILD=build, PYTHONDONTWRITEBYTECODE="1")
    if group != "kernel":
        env.update(prepare_engine(build))
    status = subprocess.call(
        [sys.executable, "-m", "pytest", "-q", "-rs", "--strict-markers", "-p", "no:cacheprovider",
         *arguments_of(group)], env=env)
    return 0 if status == NONE_COLLECTED else status


if __name__ == "__main__":
    sys.exit(main())
