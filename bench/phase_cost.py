#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a marker costs in Python, in nanoseconds: `with phase("infer"):` is two of them. Prints JSON:
under `powermeasure run`, which makes a channel, and without. Argument: the build directory."""

import json
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

CODE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import powermeasure
phase = powermeasure.phase
N = 1000

def least(work):
    best = 1e9
    for i in range(100):
        begun = time.perf_counter_ns()
        work()
        best = min(best, time.perf_counter_ns() - begun)
    return best / N

def empty():
    for _ in range(N): pass

def marked():
    for _ in range(N):
        with phase("infer"): pass

marked()
print(round((least(marked) - least(empty)) / 2, 1))
"""


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else TOP / "build") / "src/powermeasure"
    plain = [sys.executable, "-c", CODE, str(TOP / "python")]
    measured = [str(program), "run", "--sensors", "sim", "-o", "/dev/null", *plain]
    marker, without = (float(subprocess.run(command, check=True, stdout=subprocess.PIPE,
                                            text=True).stdout) for command in (measured, plain))
    print(json.dumps({"marker_ns": marker, "marker_without_channel_ns": without,
                      "python": sys.version.split()[0]}))


if __name__ == "__main__":
    main()
