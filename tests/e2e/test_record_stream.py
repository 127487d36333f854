# SPDX-License-Identifier: MIT
"""The detailed record as a stream that others follow, of the plugin and of stat; and who follows it: the
example that keeps a command within a power budget."""

import collections
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import conftest
from conftest import (GIVE_UP_S, POWERMEASURE, PUBLISHED, TOP, records, run, sim_script, start_event,
                      stop_event, wait_for)

SIM = ("--sensors", "sim")
FLAT = {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], "unit": [1, 1], "update_ms": 1,
        "stamped": True}


class Streaming(conftest.Plugin):
    """A plugin whose record goes into a pipe."""

    def __init__(self, log_dir, *args):
        self.read_end, write_end = os.pipe()
        kept = os.dup(1)
        os.dup2(write_end, 1)  # what the plugin gets as its standard output
        try:
            super().__init__(log_dir, *SIM, "--record", "-", *args)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(write_end)
        self.stream = os.fdopen(self.read_end)


@pytest.fixture
def streaming(tmp_path):
    started = []

    def start(*args):
        started.append(Streaming(tmp_path / "logs", *args))
        return started[-1]

    yield start
    for p in started:
        p.close()
        p.stream.close()
        assert "Sanitizer" not in p.said, p.said


def n_lines(p):
    return len(p.log("CPU.json"))


def test_the_plugin_s_stream_is_live(streaming, load):
    p, one = streaming("--rate", "20"), load(0.4)
    assert p.send(start_event([one.pid])) == PUBLISHED
    lines = [json.loads(p.stream.readline()) for _ in range(100)]
    # Its session goes on all the while.
    assert not re.search("time is up|stopped", p.said)
    assert any(x["pid"] == one.pid and x["energy_uj"] > 0 for x in lines)
    p.send(stop_event([one.pid]))
    assert p.stop() == 0
    lines += [json.loads(x) for x in p.stream]
    by_reading = collections.defaultdict(int)
    for x in lines:
        by_reading[x["domain"], x["t_ns"]] += x["energy_uj"]
    # What all lines of the DRAM's readings add up to is what it draws.
    joules = sum(v for (d, _), v in by_reading.items() if d == "package-0-dram") / 1e6
    seconds = sum({x["t_ns"]: x["interval_ns"] for x in lines if x["domain"] == "package-0-dram"}.values()) / 1e9
    assert joules == pytest.approx(5 * seconds, rel=0.01)
    assert not (pathlib.Path.cwd() / "-").exists() and not (p.log_dir / "-").exists()


def test_the_plugin_outlives_its_reader(streaming, load):
    p, one = streaming("--rate", "20"), load(0.4)
    p.send(start_event([one.pid]))
    p.stream.readline()
    p.stream.close()
    p.wait_said("the record's reader at standard output has gone")
    before = n_lines(p)
    wait_for(lambda: n_lines(p) > before + 5)
    assert p.stop() == 0
    assert p.said.count("has gone") == 1 and "Broken pipe" not in p.said


def test_a_reader_that_is_stuck_holds_nothing_up(streaming, load):
    p, one = streaming("--rate", "100"), load(0.4)
    fcntl.fcntl(p.read_end, 1031, 16384)  # F_SETPIPE_SZ: so that it is full soon
    p.send(start_event([one.pid]))
    wait_for(lambda: n_lines(p) > 100)
    before = n_lines(p)
    wait_for(lambda: n_lines(p) > before + 20)
    # It gets all of it when it goes on.
    p.send(stop_event([one.pid]))
    ended = []
    thread = threading.Thread(target=lambda: ended.extend(p.stream))
    thread.start()
    wait_for(lambda: "stopped" in p.said)
    assert p.stop() == 0
    thread.join(GIVE_UP_S)
    lines = [json.loads(x) for x in ended]
    assert sum(x["pid"] == one.pid and x["kind"] == "cpu" for x in lines) > 100
    times = [x["t_ns"] for x in lines if x["domain"] == "package-0"]
    intervals = {x["t_ns"]: x["interval_ns"] for x in lines if x["domain"] == "package-0"}
    # Without a gap.
    assert sum(intervals.values()) == pytest.approx(max(times) - min(times) + intervals[min(times)], abs=2e6)


def check_adds_up(lines, report):
    """The record tells what the report does."""
    for domain in report["domains"]:
        told = sum(x["energy_uj"] for x in lines if x["domain"] == domain["name"])
        assert told / 1e6 == pytest.approx(domain["energy_j"], rel=0.02, abs=0.01)
    for target in report["targets"]:
        mine = [x for x in lines if x["pid"] == target["pid"] and x["kind"] == "cpu"]
        assert sum(x["energy_uj"] for x in mine) / 1e6 == pytest.approx(target["energy_j"]["cpu"], abs=1e-5)
        assert {x["name"] for x in mine} == {target["name"]}
    tool = sum(x["energy_uj"] for x in lines if x["name"] == "powermeasure" and x["kind"] == "cpu")
    assert tool / 1e6 == pytest.approx(report["tool"]["energy_j"]["cpu"], abs=1e-5)


@pytest.mark.parametrize("where", ["file", "-"])
def test_stat_s_record(load, tmp_path, where):
    one, two = load(0.4), load(0.1)
    file = tmp_path / "record.jsonl"
    done = run("stat", *SIM, "-p", f"{one.pid},{two.pid}", "-d", "1.2", "-I", "0", "--json", "-o",
               "/dev/stderr", "--record", file if where == "file" else "-", cwd=tmp_path)
    assert done.returncode == 0
    lines = records(file) if where == "file" else [json.loads(x) for x in done.stdout.splitlines()]
    assert len({x["t_ns"] for x in lines if x["domain"] == "package-0"}) > 2
    check_adds_up(lines, json.loads(done.stderr))
    assert [x.name for x in tmp_path.iterdir()] == (["record.jsonl"] if where == "file" else [])


def test_stat_s_stream_is_live_and_outlives_its_reader(load):
    one = load(0.4)
    process = subprocess.Popen([str(POWERMEASURE), "stat", *SIM, "-p", str(one.pid), "-I", "50", "--record",
                                "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [json.loads(process.stdout.readline()) for _ in range(30)]
    assert any(x["pid"] == one.pid for x in lines)
    assert process.poll() is None
    process.stdout.close()
    said = ""
    while "reader at standard output has gone" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    # Rows come all the same, and the summary.
    while not re.match(r" +[\d.]+ +[\d.]+", process.stderr.readline()):
        pass
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=GIVE_UP_S)[1]
    assert process.returncode == 0 and "machine:" in rest


def test_a_control_group_has_no_pid(tmp_path):
    group = next((line.split(":", 2)[2] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
                  if "cpuacct" in line.split(":")[1].split(",") or line.startswith("0::")), None)
    done = run("stat", *SIM, "--cgroup", group, "-d", "0.4", "--record", "-")
    if done.returncode != 0:
        pytest.skip(f"{group}: {done.stderr}")
    lines = [json.loads(x) for x in done.stdout.splitlines()]
    mine = [x for x in lines if x["name"] == group]
    assert mine and all(x["pid"] is None for x in mine)


def test_a_record_that_cannot_be_written(load):
    pid = load(0.2).pid
    done = run("stat", *SIM, "-p", pid, "-d", "0.5", "--record", "/no/such/place/record")
    assert done.returncode == 1 and "/no/such/place/record" in done.stderr
    done = run("stat", *SIM, "-p", pid, "-d", "0.5", "-I", "100", "--record", "/dev/full")
    assert done.returncode == 0 and "--record /dev/full: No space left" in done.stderr
    assert done.stderr.count("/dev/full") == 1 and "machine:" in done.stderr


# ---- the example ----------------------------------------------------------------------------------

BUDGET = TOP / "examples" / "power_budget.py"
WORK = "import time\nwhile time.process_time() < {}: pass\n"


def budget(tmp_path, watts, *command):
    script = sim_script(tmp_path / "flat.json", FLAT)
    begun = time.monotonic()
    done = subprocess.run([sys.executable, str(BUDGET), "--watts", str(watts), "--powermeasure",
                           str(POWERMEASURE), "--sensors", script, "--", *command], stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, timeout=GIVE_UP_S)
    return done, time.monotonic() - begun


def test_a_worker_stays_within_its_power_budget(tmp_path):
    """It would draw 40 W for each of the machine's CPUs: a quarter of that it may."""
    n_cpu = os.sysconf("SC_NPROCESSORS_ONLN")
    watts, cpu_s = 40 / n_cpu / 4, 0.8
    done, elapsed = budget(tmp_path, watts, sys.executable, "-S", "-c", WORK.format(cpu_s))
    assert done.returncode == 0, done.stderr
    told = re.search(r"([\d.]+) J in ([\d.]+) s, ([\d.]+) W; stopped (\d+) times", done.stderr)
    joules, seconds, mean_w, n_stops = map(float, told.groups())
    assert mean_w <= watts, done.stderr
    # Where a busy machine gives it less than that anyway, nothing has to stop it.
    assert n_stops >= 2 or seconds > 4 * cpu_s, done.stderr
    # By what the command itself needed, and not by what was told of it.
    assert 40 / n_cpu * cpu_s / elapsed <= watts
    assert joules >= 0.9 * 40 / n_cpu * cpu_s, done.stderr


def test_a_budget_that_is_large_enough_changes_nothing(tmp_path):
    done, _ = budget(tmp_path, 1000, "sh", "-c", "echo done; exit 7")
    assert done.returncode == 7 and done.stdout == "done\n"
    assert "stopped" not in done.stderr or "stopped 0 times" in done.stderr


def test_without_a_meter_the_command_goes_on(tmp_path):
    done = subprocess.run([sys.executable, str(BUDGET), "--watts", "5", "--powermeasure", str(POWERMEASURE),
                           "--sensors", "jetson", "--", "sh", "-c", "echo done; exit 3"],
                          stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, timeout=GIVE_UP_S)
    assert done.returncode == 3 and done.stdout == "done\n"
    assert "goes on without a budget" in done.stderr
