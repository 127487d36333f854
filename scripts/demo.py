#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What ./run shows: starts the plugin and a process that keeps half a CPU busy, asks for the power of
both with a real event over a real socket, and prints what was measured.

usage: demo.py PROGRAM [--seconds N] [--log-dir DIR] [SENSOR OPTIONS OF plugin]"""

import argparse
import ctypes
import datetime
import json
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
SAMPLE_NS = 1000000  # a sample's domains are read within less, and samples are further apart
FILES = "CPU.json", "GPU.json", "sources.json"


def end_with_parent(parent, sent):
    """Nothing is to be left where this program is killed. (A program file that has capabilities forgets
    it: then the plugin is.)"""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sent)
    if os.getppid() != parent:  # it was killed before
        os.kill(os.getpid(), sent)


def half_a_core():
    parent, pid = os.getpid(), os.fork()
    if pid:
        return pid
    end_with_parent(parent, signal.SIGKILL)
    with open("/proc/self/comm", "w") as comm:
        comm.write("half-a-core")
    while True:
        until = time.monotonic() + 0.005
        while time.monotonic() < until:
            pass
        time.sleep(0.005)


def start_plugin(program, log_dir, record, more):
    """Returns the process and its address; or None and what it said at its end. Its warnings are shown:
    they say what is missing on this machine."""
    parent = os.getpid()
    plugin = subprocess.Popen([program, "plugin", "--listen", "tcp://127.0.0.1:*", "--log-dir", log_dir,
                               "--record", record, *more], stderr=subprocess.PIPE,
                              universal_newlines=True,
                              preexec_fn=lambda: end_with_parent(parent, signal.SIGTERM))
    said = []
    for line in plugin.stderr:
        if "listening at " in line:
            return plugin, line.split("listening at ", 1)[1].strip()
        said.append(line)
        if " WARN: " in line:
            print(line, end="")
    plugin.wait()
    return None, "".join(said)


class Figures:
    """Of a few processes, out of the detailed record while it grows."""

    def __init__(self, path, pids):
        self.path, self.at = path, 0
        self.processes = {pid: {} for pid in pids}  # power of each sample, by its time
        self.joules, self.seconds = dict.fromkeys(pids, 0), dict.fromkeys(pids, 0)
        self.names, self.source = dict.fromkeys(pids, ""), {}
        self.gpu_j = self.gpu_s = self.gpu_w = 0

    def read(self):
        with open(self.path) as lines:
            lines.seek(self.at)
            for text in iter(lines.readline, ""):
                if not text.endswith("\n"):
                    return  # still being written
                self.at += len(text.encode())
                self.take(json.loads(text))

    def take(self, line):
        if not line.get("counted"):
            return
        joules, seconds = line["energy_uj"] / 1e6, line["interval_ns"] / 1e9
        if line["kind"] == "gpu":
            self.gpu_j, self.gpu_s = self.gpu_j + joules, self.gpu_s + seconds
            self.gpu_w = line["power_w"]
        elif line["kind"] == "cpu" and line["pid"] in self.processes:
            self.take_cpu(line, joules, seconds)

    def take_cpu(self, line, joules, seconds):
        pid, samples = line["pid"], self.processes[line["pid"]]
        last = max(samples, default=0)
        if line["t_ns"] > last + SAMPLE_NS:
            last = line["t_ns"]
            self.seconds[pid] += seconds
        samples[last] = samples.get(last, 0) + line["power_w"]
        self.joules[pid] += joules
        self.names[pid], self.source = line["name"], line


def short(value):
    """Three significant figures, at most six decimals."""
    decimals = next((n for n in range(6) if value >= 100 / 10 ** n), 6)
    return f"{value:.{decimals}f}" if value else "0"


def print_table(figures):
    quality = (figures.source.get("flags") or ["measured"])[0]
    sensor = figures.source.get("sensor", "")
    if sensor.startswith("sim"):
        quality = "SIMULATED"
    elif quality != "ESTIMATED":
        quality = "measured"
    gpu = short(figures.gpu_j / figures.gpu_s) if figures.gpu_s else "-"
    row = "{:>8}  {:<15} {:>10} {:>9} {:>9} {:>10} {:>10}  {}"
    print(row.format("pid", "name", "CPU mean W", "min W", "max W", "CPU J", "GPU W", "source"))
    for pid, samples in figures.processes.items():
        watts, seconds = list(samples.values()) or [0], figures.seconds[pid]
        print(row.format(pid, figures.names[pid], short(figures.joules[pid] / seconds if seconds else 0),
                         short(min(watts)), short(max(watts)), short(figures.joules[pid]), gpu,
                         f"{sensor}, {quality}"))
    if figures.gpu_s:
        print("GPU W is the whole device's.")
    if quality == "SIMULATED":
        print("SIMULATED: not measured, as --sensors asked for.")
    if quality == "ESTIMATED":
        print("ESTIMATED: no power sensor can be read here, so the figures come from a model\n"
              f"({figures.source['model']}). `powermeasure list` shows what would help.")


def show_live(figures, begun):
    figures.read()
    text = "".join(f"   {figures.names[pid]} {short(samples[max(samples)])} W"
                   for pid, samples in figures.processes.items() if samples)
    if figures.gpu_s:
        text += f"   GPU {short(figures.gpu_w)} W"
    print(f"\r\033[K{time.monotonic() - begun:4.1f} s{text}", end="", flush=True)


def measure(program, address, seconds, figures):
    """Sends the event and waits for the totals of all processes."""
    pids = [word for pid in figures.processes for word in ("--pid", str(pid))]
    begun = time.monotonic()
    send = subprocess.Popen([program, "send", "start", "--to", address, *pids, "--seconds", str(seconds),
                             "--monitor-types", "readme", "--wait"], stdout=subprocess.PIPE,
                            universal_newlines=True)
    while sys.stdout.isatty():
        try:
            send.wait(0.5)
            print("\r\033[K", end="")
            break
        except subprocess.TimeoutExpired:
            show_live(figures, begun)
    totals = send.communicate()[0]
    if send.returncode != 0:
        sys.exit(1)  # it has said why
    figures.read()
    return totals


def demonstrate(args, more, started):
    stamp = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat()
    log_dir = args.log_dir
    plugin, address = start_plugin(args.program, log_dir, f"{log_dir}/record-{stamp}.jsonl", more)
    if not plugin and "already writes its logs" in address:
        print(address, end="")
        log_dir = f"{log_dir}/demo-{stamp}"
        print(f"This run writes to {log_dir} instead.")
        plugin, address = start_plugin(args.program, log_dir, f"{log_dir}/record-{stamp}.jsonl", more)
    if not plugin:
        sys.exit(f"{address}the plugin did not start")
    started.append(plugin)
    load = half_a_core()
    started.append(load)
    print(f"The plugin (pid {plugin.pid}) takes events at {address}.\n"
          f"Sending it: measure pid {load}, which keeps half a CPU busy, and pid {plugin.pid}, the "
          f"plugin itself, for {args.seconds} s.", flush=True)
    figures = Figures(f"{log_dir}/record-{stamp}.jsonl", [load, plugin.pid])
    totals = measure(args.program, address, args.seconds, figures)
    print()
    print_table(figures)
    print("\nThe totals with their likely range:")
    print("".join(f"  {line}\n" for line in totals.splitlines()))
    print("Written:")
    for name in (*FILES, f"record-{stamp}.jsonl"):
        print(f"  {log_dir}/{name}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1], allow_abbrev=False)
    parser.add_argument("program")
    parser.add_argument("--seconds", type=int, choices=range(1, 86401), default=10, metavar="N")
    parser.add_argument("--log-dir", default=os.environ.get("TRAPS_POWER_LOG_PATH") or
                        os.path.expanduser("~/logs"))
    args, more = parser.parse_known_args()
    started = []
    try:
        demonstrate(args, more, started)
    finally:
        for process in started:
            if isinstance(process, int):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
            else:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
