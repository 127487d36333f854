# SPDX-License-Identifier: MIT
"""Runs every test that the build knows, one after the other, and adds the results up. A test that
fails once has failed: nothing is tried again."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

TESTS = pathlib.Path(__file__).resolve().parent
SKIPPED_STATUS = 77  # of a whole test, as meson has it


class Results:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def tests_of(build, suite):
    """The tests of a build, or of one of its suites, in the order of meson test."""
    text = subprocess.run(
        ["meson", "introspect", "--tests", str(build)],
        check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    tests = [t for t in json.loads(text)
             if not suite or any(s.rpartition(":")[2] == suite for s in t["suite"])]
    return sorted(tests, key=lambda t: (-t.get("priority", 0), t["name"]))


def kernel_tests(build, length):
    """The tests on real kernels in emulated machines: they take too long to be among the others."""
    return {"name": "python/kernel", "timeout": 4 * 3600, "env": {"PM_KERNEL": length},
            "cmd": [sys.executable, str(TESTS / "run_pytest.py"), "kernel", str(build)]}


def lines_of(command, env, timeout_s, show):
    """Runs a command to its end. Returns its lines and its exit status; shows them as they come if
    wanted."""
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, universal_newlines=True, errors="replace")
    over = threading.Timer(timeout_s, process.kill)
    over.start()
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if show:
            print(lines[-1], flush=True)
    status = process.wait()
    if not over.is_alive():
        lines.append(f"ended after {timeout_s:g} s")
    over.cancel()
    return lines, status


def counts_of(lines):
    """(passed, failed, skipped): of TAP, or as the Python tests say it themselves; None if nothing
    was said."""
    passed = failed = skipped = 0
    for line in lines:
        told = re.match(r"(\d+) passed, (\d+) failed, (\d+) skipped$", line)
        if told:
            return tuple(int(n) for n in told.groups())
        if re.match(r"(not )?ok \d+ .*# SKIP", line):  # cmocka says "not ok" of these
            skipped += 1
        elif re.match(r"ok \d+", line):
            passed += 1
        elif re.match(r"not ok \d+", line):
            failed += 1
    return (passed, failed, skipped) if passed + failed + skipped else None


def run_test(test, results, wrapper, show=False):
    """test: as meson describes it. A status says that something failed even where no line does."""
    lines, status = lines_of(wrapper + test["cmd"], dict(os.environ, **test["env"]),
                             test["timeout"] * float(os.environ.get("PM_PATIENCE", "1")), show)
    counts = counts_of(lines)
    passed, failed, skipped = counts or (0, 0, 0)
    if status == SKIPPED_STATUS:
        passed, failed, skipped = 0, 0, 1
    elif failed == 0 and (status != 0 or not counts):
        failed = 1
    results.add(passed, failed, skipped)
    name = test["name"]
    if failed:
        print(f"FAILED {name} (status {status}): {' '.join(test['cmd'])}")
        if not show:
            print("\n".join(lines))
    else:
        print(f"ok {name}: {passed} passed" + (f", {skipped} skipped" if skipped else ""))
    for line in lines:
        if "# SKIP" in line or status == SKIPPED_STATUS:
            print(f"  skipped: {name}: {line.rpartition('# SKIP')[2].strip()}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only", choices=["programs", "python"],
                        help="run just these tests")
    parser.add_argument("--wrapper", default="", help="put before each test program, like qemu")
    parser.add_argument("-n", help="how many Python tests run at a time")
    parser.add_argument("-k", help="only the Python tests whose names match")
    parser.add_argument("--kernel", nargs="?", const="short", choices=["short", "long"],
                        help="run just the tests on real kernels, in emulated machines (docs/testing.md)")
    options = parser.parse_args()
    if options.n:
        os.environ["PM_JOBS"] = options.n
    if options.k:
        os.environ["PM_MATCH"] = options.k
    results = Results()
    if options.kernel:
        run_test(kernel_tests(options.build, options.kernel), results, [], show=True)
    else:
        for test in tests_of(options.build, options.only):
            run_test(test, results, options.wrapper.split(), show="python" in test["name"])
        print("left out: the tests on real kernels (./test --kernel)")
    print(results)
    return 1 if results.failed or not results.passed else 0


if __name__ == "__main__":
    sys.exit(main())
