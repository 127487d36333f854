# SPDX-License-Identifier: MIT
"""Runs every test and adds the results up: first the test programs of the build, each a process of
its own, then the Python tests, which drive the built program."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests" / "engine"))

import build_engine  # noqa: E402

PROGRAM_TIMEOUT_S = 300

# More failures than that are no matter of a busy machine.
RETRY_MOST = 6


class Results:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def programs(build):
    """The test programs that the build knows: (name, command, environment)."""
    text = subprocess.run(
        ["meson", "introspect", "--tests", str(build)],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    for test in sorted(json.loads(text), key=lambda t: (-t.get("priority", 0), t["name"])):
        yield test["name"], test["cmd"], test.get("env", {})


def run_program(name, command, environment, results, wrapper):
    env = {**os.environ, **environment}
    try:
        done = subprocess.run(wrapper + command, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=PROGRAM_TIMEOUT_S)
        output, status = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode(errors="replace")
        output += f"\nstopped after {PROGRAM_TIMEOUT_S} s\n"
        status = -1
    passed = failed = skipped = 0
    for line in output.splitlines():
        if re.match(r"(not )?ok \d+ .*# SKIP", line):  # cmocka says "not ok" of these
            skipped += 1
            print(f"  skipped: {name}: {line.partition('# SKIP')[2].strip()}")
        elif re.match(r"ok \d+", line):
            passed += 1
        elif re.match(r"not ok \d+", line):
            failed += 1
    if status != 0 and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        failed = 1
        output += "\nno test was executed\n"
    results.add(passed, failed, skipped)
    if failed:
        print(f"FAILED {name} (status {status})\n{output}")
    else:
        print(f"ok {name}: {passed} passed" + (f", {skipped} skipped" if skipped else ""))
    sys.stdout.flush()


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


def counts_of(report):
    """(passed, failed, skipped) of a JUnit report."""
    passed = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        failed += bad
        skipped += int(suite.get("skipped"))
        passed += int(suite.get("tests")) - bad - int(suite.get("skipped"))
    return passed, failed, skipped


def call_pytest(directory, name, arguments, env):
    """Returns the exit status and the counts; None where it left no report."""
    report = pathlib.Path(directory, name)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-o", f"cache_dir={directory}/cache",
         f"--junitxml={report}", str(TOP / "tests"), *arguments], env=env)
    return done.returncode, counts_of(report) if report.exists() else None


def run_pytest(build, arguments, results):
    """Tests that drive processes in real time can fail where something else has the CPUs: a few that
    did are tried once more, one after the other, and both are told."""
    env = dict(os.environ, PM_BUILD=str(build), PYTHONDONTWRITEBYTECODE="1",
               **prepare_engine(build))
    with tempfile.TemporaryDirectory() as directory:
        status, counts = call_pytest(directory, "report.xml", arguments, env)
        if counts and status == 1 and 0 < counts[1] <= RETRY_MOST:
            print(f"{counts[1]} failed while {arguments[1]} ran at a time; once more, alone:")
            sys.stdout.flush()
            status, again = call_pytest(directory, "again.xml",
                                        ["--lf", "-n", "0", *arguments[2:]], env)
            if again:
                counts = counts[0] + counts[1] - again[1], again[1], counts[2]
    if not counts:
        print(f"FAILED pytest (status {status}): it left no report")
        results.add(0, 1, 0)
        return
    passed, failed, skipped = counts
    if status not in (0, 1, 5) and failed == 0:
        failed = 1
    results.add(passed, failed, skipped)


def run_kernels(build, length, results):
    """The tests on real kernels in emulated machines: one machine at a time."""
    env = dict(os.environ, PM_BUILD=str(build), PM_KERNEL=length, PYTHONDONTWRITEBYTECODE="1")
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory, "report.xml")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "-n", "0", "--durations=10", "-o",
             f"cache_dir={directory}/cache", f"--junitxml={report}", str(TOP / "tests" / "kernel")],
            env=env)
        counts = counts_of(report) if report.exists() else (0, 1, 0)
    results.add(*counts)
    if done.returncode != 0 and counts[1] == 0:
        results.add(0, 1, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only", choices=["programs", "python"],
                        help="run just these tests")
    parser.add_argument("--wrapper", default="", help="put before each test program, like qemu")
    # Most of them wait for most of the time.
    parser.add_argument("-n", default=str(min(24, 3 * (os.cpu_count() or 1))),
                        help="how many Python tests run at a time")
    parser.add_argument("-k", default="", help="only the Python tests whose names match")
    parser.add_argument("--kernel", nargs="?", const="short", choices=["short", "long"],
                        help="run just the tests on real kernels, in emulated machines (docs/testing.md)")
    options = parser.parse_args()
    results = Results()
    if options.kernel:
        run_kernels(options.build, options.kernel, results)
        print(f"{results.passed} passed, {results.failed} failed, {results.skipped} skipped")
        return 1 if results.failed or not results.passed else 0
    if options.only != "python":
        for name, command, environment in programs(options.build):
            run_program(name, command, environment, results, options.wrapper.split())
    if options.only != "programs":
        arguments = ["-n", options.n]
        if options.k:
            arguments += ["-k", options.k]
        run_pytest(options.build, arguments, results)
        print("left out: the tests on real kernels (./test --kernel)")
    print(f"{results.passed} passed, {results.failed} failed, {results.skipped} skipped")
    return 1 if results.failed or not results.passed else 0


if __name__ == "__main__":
    sys.exit(main())
