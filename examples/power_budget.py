#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command within a power budget: follows what powermeasure tells of it, ten times a second, and
stops it (SIGSTOP) while it has used more than its budget so far, as often as that takes.

    power_budget.py --watts 5 -- python3 train.py

No right is needed. Its exit status is the command's."""

import argparse
import json
import os
import signal
import subprocess
import sys

# What it did not use it may use later, up to so many seconds' worth.
SAVED_S = 1.0

# It is allowed so much of the budget.
AIM = 0.95


class Worker:
    """A command in a process group of its own, which begins stopped."""

    def __init__(self, command):
        self.process = subprocess.Popen(["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command],
                                        start_new_session=True)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        self.is_stopped = True
        self.n_stops = 0

    def send(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def go(self, may_run):
        if may_run == self.is_stopped:
            self.send(signal.SIGCONT if may_run else signal.SIGSTOP)
            self.n_stops += not may_run
            self.is_stopped = not may_run


def readings(lines, pid):
    """(seconds, joules) of the CPUs for each line that is of this process: with several packages there
    is one of each, and time passes with the first of them."""
    first = None
    for line in lines:
        record = json.loads(line)
        if record["pid"] != pid or record["kind"] != "cpu" or not record["counted"]:
            continue
        package = record["sensor"], record["domain"]
        first = first or package
        yield record["interval_ns"] / 1e9 if package == first else 0.0, record["energy_uj"] / 1e6


def follow(meter, worker, watts):
    """Returns the seconds and joules of all of it."""
    credit_j = most_j = total_s = total_j = 0.0
    meter.stdout.readline()  # it measures: nothing runs before
    worker.go(True)
    for seconds, joules in readings(meter.stdout, worker.process.pid):
        total_s += seconds
        total_j += joules
        # What it takes until the next reading must be there before.
        most_j = max(most_j, joules)
        credit_j = min(credit_j + AIM * watts * seconds, watts * SAVED_S) - joules
        worker.go(credit_j >= min(most_j, watts * SAVED_S))
    return total_s, total_j


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--watts", type=float, required=True, help="of the CPUs, for the command")
    parser.add_argument("--powermeasure", default="powermeasure", help="the program")
    parser.add_argument("--sensors", help="as of powermeasure stat")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    worker = Worker(options.command)
    # Whoever ends this ends the command, which may be stopped just then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: (worker.send(n), worker.send(signal.SIGCONT)))
    sensors = ["--sensors", options.sensors] if options.sensors else []
    try:
        with subprocess.Popen([options.powermeasure, "stat", *sensors, "--tree", "-p",
                               str(worker.process.pid), "-I", "100", "-o", os.devnull, "--record", "-"],
                              stdout=subprocess.PIPE, text=True, start_new_session=True) as meter:
            total_s, total_j = follow(meter, worker, options.watts)
    except OSError as error:
        worker.send(signal.SIGKILL)
        sys.exit(f"power_budget: {options.powermeasure}: {error.strerror}: the command was not run")
    finally:
        worker.send(signal.SIGCONT)
    if meter.returncode != 0:
        print("power_budget: powermeasure ended: the command goes on without a budget", file=sys.stderr)
    status = worker.process.wait()
    if total_s > 0:
        print(f"power_budget: {total_j:.3f} J in {total_s:.3f} s, {total_j / total_s:.3f} W; stopped "
              f"{worker.n_stops} times", file=sys.stderr)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
