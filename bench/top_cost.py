#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a refresh of `powermeasure top` costs with so many processes: its CPU time with many refreshes
less that with one, by the number of refreshes; as JSON, in a terminal, and procps's top beside it.
Prints JSON."""

import argparse
import json
import os
import pathlib
import pty
import resource
import shutil
import signal
import subprocess
import threading

TOP = pathlib.Path(__file__).resolve().parent.parent


class Sleepers:
    """So many processes that do nothing."""

    def __init__(self, n):
        script = f"i=0; while [ $i -lt {n} ]; do sleep 3600 & i=$((i+1)); done; echo ready; wait"
        self.shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE,
                                      start_new_session=True)
        self.shell.stdout.readline()

    def end(self):
        os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.wait()
        self.shell.stdout.close()


def cpu_s(command, terminal):
    """CPU seconds of a command; terminal: it gets one."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if terminal:
        ours, theirs = pty.openpty()
        os.set_blocking(ours, True)
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs,
                                   env={**os.environ, "TERM": "xterm", "LINES": "50", "COLUMNS": "132"})
        os.close(theirs)
        reader = threading.Thread(target=drain, args=(ours,))
        reader.start()
        process.wait()
        reader.join()
        os.close(ours)
    else:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def drain(fd):
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass  # the other end is closed


def each_ms(command, n, terminal=False):
    """command(n) is the command with n refreshes."""
    costs = [cpu_s(command(n), terminal) - cpu_s(command(1), terminal) for _ in range(3)]
    return round(min(costs) / (n - 1) * 1e3, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--refreshes", type=int, default=20)
    parser.add_argument("--processes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--sensors", default="sim")
    options = parser.parse_args()
    program = [str(options.build / "src" / "powermeasure"), "top", "--sensors", options.sensors, "-d", "0.25"]
    results = []
    for n in options.processes:
        sleepers = Sleepers(n)
        try:
            result = {
                "processes_added": n,
                "processes": sum(x.isdigit() for x in os.listdir("/proc")),
                "json_ms_each": each_ms(lambda k: [*program, "--json", "-l", "20", "-n", str(k)],
                                        options.refreshes),
                "terminal_ms_each": each_ms(lambda k: [*program, "-n", str(k)], options.refreshes, True),
            }
            if shutil.which("top"):
                result["procps_top_ms_each"] = each_ms(
                    lambda k: ["top", "-b", "-d", "0.25", "-n", str(k)], options.refreshes)
            results.append(result)
        finally:
            sleepers.end()
    print(json.dumps({"refreshes": options.refreshes, "every_s": 0.25, "results": results}, indent=1))


if __name__ == "__main__":
    main()
