#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the plugin costs, as JSON: CPU time and memory over a minute at 2 Hz with one process, the
same without a session, the time from an event's sending to the first snapshot, and what one sample
and one line cost. Beside them what an empty loop costs that does no more than wake up as often as
the plugin's two threads: that much is the machine's, not the plugin's.

usage: bench/plugin_cost.py [BUILD DIRECTORY] [SECONDS]"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else TOP / "build").resolve()
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 60
POWERMEASURE = BUILD / "src" / "powermeasure"


def cpu_s(pid):
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def peak_kib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


class Plugin:
    def __init__(self, *args):
        self.directory = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [POWERMEASURE, "plugin", "--listen", "tcp://127.0.0.1:*", "--log-dir",
             self.directory.name, *args], stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        for line in self.process.stderr:
            found = re.search(r"listening at (\S+)", line)
            if found:
                self.address = found[1]
                break

    def send(self, *args):
        subprocess.run([POWERMEASURE, "send", *args, "--to", self.address], check=True)

    def over(self, seconds):
        before = cpu_s(self.pid)
        time.sleep(seconds)
        return {"cpu_s": round(cpu_s(self.pid) - before, 6),
                "percent_of_a_core": round(100 * (cpu_s(self.pid) - before) / seconds, 5),
                "peak_memory_kib": peak_kib(self.pid)}

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()


def empty_wakes(seconds):
    """Two threads that wake up twice a second, the second woken by the first, and do nothing."""
    source = r"""
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
static int event;
static void *other(void *arg)
{
	uint64_t n;
	for (;;)
		if (read(event, &n, sizeof(n)) < 0)
			return arg;
}
int main(void)
{
	struct itimerspec half = { { 0, 500000000 }, { 0, 500000000 } };
	int timer = timerfd_create(1, 0);
	pthread_t thread;
	uint64_t n, one = 1;
	event = eventfd(0, 0);
	pthread_create(&thread, 0, other, 0);
	timerfd_settime(timer, 0, &half, 0);
	while (read(timer, &n, sizeof(n)) > 0 && write(event, &one, sizeof(one)) > 0)
		;
}
"""
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "empty")
        subprocess.run(["cc", "-O2", "-x", "c", "-", "-o", program, "-pthread"],
                       input=source.encode(), check=True)
        process = subprocess.Popen([program])
        time.sleep(1)
        before = cpu_s(process.pid)
        time.sleep(seconds)
        percent = 100 * (cpu_s(process.pid) - before) / seconds
        process.kill()
        process.wait()
    return round(percent, 5)


def receipts(n=20):
    """Milliseconds from before an event is sent to its session's first snapshot."""
    took = []
    with tempfile.TemporaryDirectory() as directory:
        record = os.path.join(directory, "record.jsonl")
        plugin = Plugin("--sensors", "sim", "--record", record)
        import zmq
        sys.path.insert(0, str(TOP / "tests"))
        os.environ["PM_BUILD"] = str(BUILD)
        from conftest import start_event, stop_event
        socket = zmq.Context.instance().socket(zmq.REQ)
        socket.connect(plugin.address)
        for _ in range(n):
            begun = time.monotonic_ns()
            socket.send(start_event([os.getpid()], [1], 0))
            socket.recv()
            time.sleep(0.7)
            socket.send(stop_event([os.getpid()]))
            socket.recv()
            time.sleep(0.2)
            lines = [json.loads(x) for x in open(record)]
            first = min(x["t_ns"] - x["interval_ns"] for x in lines if x["t_ns"] > begun)
            took.append((first - begun) / 1e6)
        socket.close()
        plugin.stop()
    return {"median": round(statistics.median(took), 3), "max": round(max(took), 3)}


def main():
    plugin = Plugin("--sensors", "sim")
    sleeper = subprocess.Popen(["sleep", "600"])
    result = {"seconds": SECONDS, "rate_hz": 2}
    time.sleep(1)
    result["no_session"] = plugin.over(SECONDS)
    plugin.send("start", "--pid", str(sleeper.pid), "--type", "cpu", "--seconds", "0")
    time.sleep(1)
    result["one_process"] = plugin.over(SECONDS)
    plugin.stop()
    sleeper.kill()
    sleeper.wait()
    result["empty_wakes_percent_of_a_core"] = empty_wakes(SECONDS)
    result["event_to_first_snapshot_ms"] = receipts()
    subprocess.run(["ninja", "-C", BUILD, "bench/micro"], check=True, stdout=subprocess.DEVNULL)
    result.update(json.loads(subprocess.run([BUILD / "bench" / "micro"], check=True,
                                            stdout=subprocess.PIPE).stdout))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
