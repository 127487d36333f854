#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What `powermeasure run` costs a command: elapsed and CPU time over the bare command's, in pairs,
each pair in an order of its own. Prints JSON."""

import argparse
import json
import pathlib
import random
import resource
import statistics
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent


def once(command):
    """Elapsed and CPU seconds of a command with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    elapsed = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def spread(values):
    values = sorted(values)
    return {"median": round(statistics.median(values), 6),
            "quartiles": [round(values[len(values) // 4], 6), round(values[-len(values) // 4], 6)]}


def compare(program, sensors, command, n, seed):
    measured = [program, "run", *sensors, "--", *command]
    order = random.Random(seed)
    elapsed, cpu, bare = [], [], []
    for _ in range(n):
        pair = [("bare", command), ("run", measured)]
        order.shuffle(pair)
        got = {name: once(line) for name, line in pair}
        elapsed.append(got["run"][0] - got["bare"][0])
        cpu.append(got["run"][1] - got["bare"][1])
        bare.append(got["bare"][0])
    return {"command": " ".join(command)[:60], "pairs": n, "bare_elapsed_s": spread(bare),
            "added_elapsed_s": spread(elapsed), "added_cpu_s": spread(cpu)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--sensors", help="as of powermeasure run; default: what there is")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    program = str(options.build / "src" / "powermeasure")
    sensors = ["--sensors", options.sensors] if options.sensors else []
    busy = "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done"
    forks = "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done"
    print(json.dumps({"seed": options.seed, "commands": [
        compare(program, sensors, command, options.pairs, options.seed)
        for command in (["true"], ["sleep", "1"], ["sh", "-c", busy], ["sh", "-c", forks])]},
        indent=1))


if __name__ == "__main__":
    main()
