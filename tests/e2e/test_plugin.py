# SPDX-License-Identifier: MIT
"""The main job: an event in, watts in CPU.json and GPU.json out."""

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import (AS_NOBODY, GIVE_UP_S, NOBODY, PUBLISHED, Load, records, run, sim_energy_j, sim_script,
                      start_event, stop_event, terminate_event, threads_of, wait_for, wakeups_of)
from diary import DIARY, cpu_at, read_diary

# Microjoules in whole numbers and the time of each update told: nothing is lost in reading.
EXACT = {"unit": [1, 1], "update_ms": 1, "stamped": True}
SQUARE = [[0.7, 20.0], [0.4, 95.0]]


def lines_of(log, pid):
    return {key: value for key, value in log.items() if value[1] == str(pid)}


# ---- lines, totals, the record --------------------------------------------------------------------


@pytest.mark.alone
def test_ten_seconds_at_two_hertz_are_twenty_lines(plugin, load, tmp_path):
    """And the parts add up, in whole microjoules, in every interval; and a process with a known
    share of the CPUs gets that share within 1 %."""
    script = sim_script(
        tmp_path / "sim.json",
        {"name": "package-0", "kind": "cpu", "curve": SQUARE, **EXACT},
        {"name": "package-0-dram", "kind": "dram", "curve": [[1, 4.2]], **EXACT},
        {"name": "gpu-0", "kind": "gpu", "curve": [[0.3, 30], [0.9, 200]], **EXACT})
    record = tmp_path / "record.jsonl"
    p = plugin("--sensors", script, "--record", record)
    half, quarter = load(0.5, DIARY), load(0.25, DIARY)
    assert p.send(start_event([half.pid, quarter.pid], [0, 3], 10)) == PUBLISHED
    for one in half, quarter:
        p.wait_said(rf"pid {one.pid} .*time is up")
    assert p.stop() == 0

    cpu = p.log("CPU.json")
    assert len(cpu) == 40
    for one in half, quarter:
        assert len(lines_of(cpu, one.pid)) == 20
    assert len(p.log("GPU.json")) == len(p.log("DRAM.json")) == 20
    assert list(cpu) == sorted(cpu)
    name = open(f"/proc/{half.pid}/comm").read().strip()
    assert all(v[2] == name and isinstance(v[0], float) for v in lines_of(cpu, half.pid).values())

    lines = records(record)
    curves = {"package-0": SQUARE, "package-0-dram": [[1, 4.2]], "gpu-0": [[0.3, 30], [0.9, 200]]}
    intervals = {}
    for line in lines:
        intervals.setdefault((line["domain"], line["t_ns"], line["interval_ns"]), []).append(line)
    for (domain, t_ns, interval_ns), parts in intervals.items():
        whole = [int(sim_energy_j(curves[domain], t) * 1e6 + 1e-3)
                 for t in (t_ns - interval_ns, t_ns)]
        assert sum(part["energy_uj"] for part in parts) == whole[1] - whole[0], parts
        for part in parts:
            assert 0 <= part["low_uj"] <= part["energy_uj"] <= part["high_uj"], part
        if domain == "package-0":
            assert [part["name"] for part in parts if part["pid"] is None] == ["idle", "other"]
    n_cpu = os.sysconf("SC_NPROCESSORS_ONLN")
    for one in half, quarter:
        mine = [x for x in lines if x["pid"] == one.pid and x["domain"] == "package-0"]
        diary = read_diary(one)
        expected = 0
        for x in mine:
            begin, end = x["t_ns"] - x["interval_ns"], x["t_ns"]
            watts = (sim_energy_j(SQUARE, end) - sim_energy_j(SQUARE, begin)) / n_cpu
            expected += watts * (cpu_at(diary, end) - cpu_at(diary, begin)) / x["interval_ns"]
        got = sum(x["energy_uj"] for x in mine) / 1e6
        assert got == pytest.approx(expected, rel=0.01)


def test_totals_are_said_with_their_range_and_agree_with_the_record(plugin, load, tmp_path):
    script = sim_script(tmp_path / "sim.json",
                        {"name": "package-0", "kind": "cpu", "curve": SQUARE, **EXACT})
    record = tmp_path / "record.jsonl"
    p, one = plugin("--sensors", script, "--record", record), load(0.5)
    p.send(start_event([one.pid], [1], 2))
    found = p.wait_said(rf"pid {one.pid} \((\S+)\): (\S+) s, CPU (\S+) J \((\S+) to (\S+)\), "
                        r"mean (\S+) W; time is up")
    seconds, joules, low, high, mean = map(float, found.groups()[1:])
    assert seconds == pytest.approx(2.0, abs=0.05)
    assert low <= joules <= high
    assert mean == pytest.approx(joules / seconds, rel=0.01)
    p.stop()
    mine = [x for x in records(record) if x["pid"] == one.pid]
    assert sum(x["energy_uj"] for x in mine) / 1e6 == pytest.approx(joules, rel=0.006)


def test_the_record_has_the_promised_keys(plugin, load, tmp_path):
    record = tmp_path / "record.jsonl"
    p, one = plugin("--sensors", "sim", "--record", record), load(0.1)
    p.send(start_event([one.pid], [0], 1))
    p.wait_said("time is up")
    p.stop()
    for line in records(record):
        assert {"time", "t_ns", "interval_ns", "sensor", "domain", "kind", "scope", "pid", "name",
                "energy_uj", "low_uj", "high_uj", "power_w", "flags", "attribution"} <= set(line)
        assert datetime.datetime.fromisoformat(line["time"]).tzinfo is not None
        assert line["flags"] == ["MEASURED"]
        assert line["power_w"] == pytest.approx(line["energy_uj"] * 1e3 / line["interval_ns"],
                                                abs=2e-6, rel=1e-4)
    assert {x["name"] for x in records(record) if x["pid"] is None} == {"idle", "other"}


@pytest.mark.parametrize("rate, expected", [("0.5", 1), ("1", 2), ("5", 10), ("20", 40),
                                            ("200", 400)])
def test_rates(plugin, load, rate, expected):
    p, one = plugin("--sensors", "sim", "--rate", rate), load(0.2)
    p.send(start_event([one.pid], [0], 2))
    p.wait_said("time is up")
    p.stop()
    late = int(sum(int(n) for n in re.findall(r"(\d+) ticks were too many", p.said)))
    lines = len(p.log("CPU.json"))
    # A machine that is too busy for a rate may miss ticks; it may never write more.
    assert expected * (1 if float(rate) <= 2 else 0.1) - late <= lines <= expected
    assert len(p.log("GPU.json")) <= expected


def test_rates_by_kind(plugin, load):
    p, one = plugin("--sensors", "sim", "--rate", "cpu=2,gpu=10"), load(0.2)
    p.send(start_event([one.pid], [0], 3))
    p.wait_said("time is up")
    p.stop()
    assert len(p.log("CPU.json")) == 6
    assert 10 <= len(p.log("GPU.json")) <= 30


def test_short_intervals_show_one_rest(plugin, load, tmp_path):
    record = tmp_path / "record.jsonl"
    p, one = plugin("--sensors", "sim", "--rate", "20", "--record", record), load(0.5)
    p.send(start_event([one.pid], [1], 1))
    p.wait_said("time is up")
    p.stop()
    assert {x["name"] for x in records(record) if x["pid"] is None} == {"rest"}


def test_idle_proportional_gives_idle_energy_to_whoever_ran(plugin, load, tmp_path):
    script = sim_script(tmp_path / "sim.json",
                        {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], **EXACT})
    record = tmp_path / "record.jsonl"
    p = plugin("--sensors", script, "--idle", "proportional", "--record", record)
    one = load(0.5, DIARY)
    p.send(start_event([one.pid], [1], 4))
    p.wait_said("time is up")
    p.stop()
    diary = read_diary(one)
    lines = records(record)
    mine = sum(x["energy_uj"] for x in lines if x["pid"] == one.pid)
    whole = sum(x["energy_uj"] for x in lines)
    assert whole == pytest.approx(40e6 * 4, rel=0.05)
    assert sum(x["energy_uj"] for x in lines if x["name"] == "idle") == 0
    # Its share of whatever ran is never below its share of all CPU time that there was. (Exactly
    # how much it is depends on what else ran in each interval: test_account has that.)
    begun_ns = min(x["t_ns"] - x["interval_ns"] for x in lines)
    ended_ns = max(x["t_ns"] for x in lines)
    used_ns = cpu_at(diary, ended_ns) - cpu_at(diary, begun_ns)
    assert 1 >= mine / whole >= 0.95 * used_ns / ((ended_ns - begun_ns) * os.sysconf("SC_NPROCESSORS_ONLN"))
    assert {x["attribution"] for x in lines if x["pid"]} == {"busy-share"}


def test_a_line_is_in_the_file_before_the_next_sample(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.2)
    p.send(start_event([one.pid], [1], 0))
    p.wait_said("measuring begins")
    lengths = set()

    def ten_lines():
        lengths.add(len(p.log("CPU.json")))
        return max(lengths) >= 10
    wait_for(ten_lines, what="ten lines")
    # Lines come one by one, as samples do; a busy machine may hold up this or that one, or us.
    assert len(lengths) > 6, lengths


# ---- sessions -------------------------------------------------------------------------------------


def test_stop_ends_the_listed_pids_only(plugin, load):
    p, one, two = plugin("--sensors", "sim"), load(0.1), load(0.1)
    p.send(start_event([one.pid, two.pid], [1], 0))
    p.wait_said(rf"pid {two.pid} .*begins")
    assert p.send(stop_event([one.pid, 1])) == PUBLISHED
    p.wait_said(rf"pid {one.pid} .*; stopped")
    assert f"pid {two.pid} (" in p.said and not re.search(rf"pid {two.pid} .*; stopped", p.said)
    p.send(stop_event([two.pid]))
    p.wait_said(rf"pid {two.pid} .*; stopped")


def test_one_pid_in_several_sessions_is_logged_once(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.1)
    p.send(start_event([one.pid], [1], 3))
    p.wait_said("begins")
    p.send(start_event([one.pid], [0], 2))
    wait_for(lambda: p.said.count("time is up") == 2)
    p.stop()
    assert len(p.log("CPU.json")) == 6
    seconds = sorted(float(s) for s in re.findall(r"\): ([\d.]+) s, CPU", p.said))
    assert seconds == pytest.approx([2, 3], abs=0.1)


def test_pids_twice_in_one_event_count_once(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.1)
    p.send(start_event([one.pid, one.pid], [1, 1], 1))
    p.wait_said("time is up")
    p.stop()
    assert len(p.log("CPU.json")) == 2
    assert p.said.count("time is up") == 1


@pytest.mark.parametrize("form", ["naive", "offset"])
def test_a_start_in_the_future_is_waited_for(plugin, load, form):
    p, one = plugin("--sensors", "sim"), load(0.1)
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1.5)
    if form == "offset":
        text = at.astimezone(datetime.timezone(datetime.timedelta(hours=5))).isoformat()
    else:
        text = at.replace(tzinfo=None).isoformat()
    assert p.send(start_event([one.pid], [1], 1, start=text)) == PUBLISHED
    assert "begins" not in p.said
    p.wait_said("begins")
    late = (datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()
    assert late >= 0
    p.wait_said("time is up")


def test_a_scheduled_session_can_be_stopped(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.1)
    p.send(start_event([one.pid], [1], 1, start="2099-01-01T00:00:00+00:00"))
    p.send(stop_event([one.pid]))
    p.wait_said("stopped before it began")


@pytest.mark.parametrize("name, uuid, ends", [
    ("ext_power_monitor_plugin", "", True),
    ("*", "6e153711-9823-4ee6-b608-58e2e801db51", True),
    ("", "4a0fca25-1935-472a-8674-58f22c3a32b3", True),
    ("somebody", "*", True),
    ("ext_image_scoring_plugin", "d6e8e42a-41ec-11ed-a36f-a3dcc1cc761a", False),
])
def test_terminate(plugin, load, name, uuid, ends):
    p, one = plugin("--sensors", "sim"), load(0.1)
    p.send(start_event([one.pid], [1], 0))
    p.wait_said("begins")
    assert p.send(terminate_event(name, uuid)) == PUBLISHED
    if ends:
        assert p.process.wait(GIVE_UP_S) == 0
        p.wait_said(rf"pid {one.pid} .*; terminated by an event")
    else:
        assert p.send(stop_event([one.pid])) == PUBLISHED
        assert p.process.poll() is None


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_complete_files(plugin, load, sig):
    p, one = plugin("--sensors", "sim"), load(0.3)
    p.send(start_event([one.pid], [0], 0))
    wait_for(lambda: p.log("CPU.json"), what="the first line")
    assert p.stop(sig) == 0
    assert p.log("CPU.json") and p.log("GPU.json")
    p.wait_said(rf"pid {one.pid} .*CPU ")
    assert sorted(os.listdir(p.log_dir)) == [
        ".powermeasure.lock", "CPU.json", "GPU.json", "sources.json"]


def test_a_process_that_ends(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.5)
    p.send(start_event([one.pid], [1], 60))
    wait_for(lambda: p.log("CPU.json"), what="the first line")
    one.end()
    p.wait_said(rf"pid {one.pid} .*the process ended")
    assert "TAIL" not in p.said


REAPED_AT_ONCE = """
import os, signal, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)      # children vanish without becoming zombies
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.read(read, 1)
    begun = time.process_time()
    while time.process_time() - begun < 0.7:
        pass
    os._exit(0)
print(pid, flush=True)
sys.stdin.read(1)
os.write(write, b"x")
sys.stdin.read()
"""


@pytest.fixture
def reaped_at_once():
    process = subprocess.Popen([sys.executable, "-c", REAPED_AT_ONCE], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    yield process, int(process.stdout.readline())
    process.stdin.close()
    process.wait()
    process.stdout.close()


def constant(tmp_path):
    return sim_script(tmp_path / "sim.json",
                      {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], **EXACT})


def total_of(p, pid):
    found = p.wait_said(rf"pid {pid} .*CPU([A-Z ]*) (\S+) J \((\S+) to (\S+)\).*the process ended")
    return found.group(1).strip(), *map(float, found.groups()[1:])


def test_a_perf_clock_keeps_the_tail_of_a_process_that_is_reaped_at_once(plugin, reaped_at_once,
                                                                         tmp_path):
    parent, pid = reaped_at_once
    p = plugin("--sensors", constant(tmp_path), "--rate", "0.1")
    p.send(start_event([pid], [1], 60))
    p.wait_said("begins")
    parent.stdin.write(b"x")
    parent.stdin.flush()
    flags, joules, low, high = total_of(p, pid)
    if "TAIL" in flags:
        pytest.skip("perf events may not be opened here")
    expected = 0.7 * 40 / os.sysconf("SC_NPROCESSORS_ONLN")
    assert joules == pytest.approx(expected, rel=0.05)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to run the plugin as somebody else")
def test_without_it_the_tail_is_flagged_with_its_bound(plugin, reaped_at_once, public):
    parent, pid = reaped_at_once
    logs = public / "logs"
    logs.mkdir()
    os.chown(logs, NOBODY, NOBODY)
    wrapper = public / "as-nobody"
    wrapper.write_text(f"#!/bin/sh\nexec {' '.join(AS_NOBODY)} {public}/powermeasure \"$@\"\n")
    wrapper.chmod(0o755)
    p = plugin("--sensors", constant(public), "--rate", "0.1", log_dir=logs, program=wrapper)
    p.send(start_event([pid], [1], 60))
    p.wait_said("begins")
    parent.stdin.write(b"x")
    parent.stdin.flush()
    flags, joules, low, high = total_of(p, pid)
    assert "TAIL" in flags
    expected = 0.7 * 40 / os.sysconf("SC_NPROCESSORS_ONLN")
    assert low <= expected <= high


def test_a_kind_without_a_sensor_is_said_and_the_rest_is_measured(plugin, load, tmp_path):
    p, one = plugin("--sensors", constant(tmp_path)), load(0.2)
    assert p.send(start_event([one.pid], [0], 1)) == PUBLISHED
    p.wait_said("no sensor for GPU on this machine: the rest is measured")
    p.wait_said("GPU unknown; time is up")
    assert len(p.log("CPU.json")) == 2
    assert p.log("GPU.json") == {}


def test_nothing_to_measure_is_said_and_the_plugin_goes_on(plugin, load, tmp_path):
    p, one = plugin("--sensors", constant(tmp_path)), load(0.2)
    answer = p.send(start_event([one.pid], [2], 1))
    assert answer == b"event-engine: bad msg: no sensor for GPU on this machine"
    assert p.send(start_event([one.pid], [1], 1)) == PUBLISHED
    p.wait_said("time is up")


def test_dram_json_comes_with_its_first_sample(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.2)
    assert not (p.log_dir / "DRAM.json").exists()
    p.send(start_event([one.pid], [3], 1))
    p.wait_said("time is up")
    assert list(p.log("DRAM.json").values()) == pytest.approx([5, 5], rel=0.01)
    assert p.log("CPU.json") == {}


def test_monitor_types_as_the_schema_numbers_them(plugin, load):
    p, one = plugin("--sensors", "sim", "--monitor-types", "events"), load(0.2)
    p.send(start_event([one.pid], [1], 1))
    p.wait_said("time is up")
    assert len(p.log("CPU.json")) == len(p.log("GPU.json")) == len(p.log("DRAM.json")) == 2


def test_self_test(plugin):
    p = plugin("--sensors", "sim", env={"TRAPS_TEST_POWER_FUNCTION": "1"})
    p.wait_said(rf"pid {p.pid} \(powermeasure\): measuring begins")
    p.wait_said(rf"pid {p.pid} \(powermeasure\): 10\.\d* s, CPU .*time is up")
    assert len(p.log("CPU.json")) == 20
    assert p.process.poll() is None


# ---- the process itself ---------------------------------------------------------------------------


def test_two_threads_of_its_own_and_no_wakeups_without_a_session(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.1)
    p.send(start_event([one.pid], [0], 1))
    p.wait_said("time is up")
    names = sorted(threads_of(p.pid))
    assert [n for n in names if not n.startswith("ZMQbg")] == ["pm-sampler", "powermeasure"]

    # Settled when a second went by without a wake-up; then three more without one.
    def quiet(seconds):
        before = wakeups_of(p.pid)
        time.sleep(seconds)
        return wakeups_of(p.pid) == before

    wait_for(lambda: quiet(1), what="a quiet second")
    assert quiet(3)


def test_a_sensor_that_hangs_does_not_keep_it_from_ending(plugin, load, tmp_path):
    script = sim_script(
        tmp_path / "sim.json",
        {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]],
         "faults": [{"at": 1.5, "for": 3600, "what": "hang"}]})
    p, one = plugin("--sensors", script), load(0.2)
    p.send(start_event([one.pid], [1], 0))
    wait_for(lambda: p.log("CPU.json"), what="a line before it hangs")
    time.sleep(2)
    assert p.stop() == 0
    assert "does not answer" in p.said
    assert p.log("CPU.json")
    assert re.search(rf"pid {one.pid} .*CPU", p.said)


def test_a_polled_sensor_that_hangs_delays_nobody(plugin, load, tmp_path):
    script = sim_script(
        tmp_path / "sim.json",
        {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], "update_ms": 20,
         "faults": [{"at": 1.5, "for": 3600, "what": "hang"}]})
    p, one = plugin("--sensors", script.replace("sim:", "sim-polled:")), load(0.2)
    p.send(start_event([one.pid], [1], 0))
    wait_for(lambda: p.log("CPU.json"), what="a line before it hangs")
    p.wait_said("cannot be read: Connection timed out")
    assert p.stop() == 0


@pytest.mark.alone
def test_a_polled_sensor_adds_power_up(plugin, load, tmp_path):
    curve = [[0.7, 20.0], [0.4, 95.0]]
    script = sim_script(tmp_path / "sim.json",
                        {"name": "gpu-0", "kind": "gpu", "curve": curve, "update_ms": 20},
                        {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]],
                         "update_ms": 20})
    p, one = plugin("--sensors", script.replace("sim:", "sim-polled:")), load(0.2)
    begun = time.monotonic_ns()
    p.send(start_event([one.pid], [0], 4))
    found = p.wait_said(r"GPU (\S+) J .*time is up")
    expected = (sim_energy_j(curve, begun + 4_000_000_000) - sim_energy_j(curve, begun))
    assert float(found.group(1)) == pytest.approx(expected, rel=0.03)
    assert len(p.log("GPU.json")) == 8
    assert "pm-sim-polled" in threads_of(p.pid)


def test_exit_status_2_for_wrong_usage(tmp_path):
    for args in (["--rate", "0"], ["--rate", "2000"], ["--rate", "fast"], ["--rate", "disk=2"],
                 ["--idle", "x"], ["--sync", "0"], ["--log-max", "x"], ["--log-level", "LOUD"],
                 ["--engine", "tcp://a:1", "--listen", "tcp://b:2"], ["--nonsense"], ["word"],
                 ["--monitor-types", "x"], ["--log-format", "x"], ["--estimate-watts", "5"],
                 ["--estimate-watts", "5:4"], ["--sensors", ""], ["--sensors", "nonsense"]):
        done = run("plugin", "--log-dir", tmp_path, *args)
        assert done.returncode == 2, args
        assert "--help" in done.stderr


def test_exit_status_1_when_nothing_can_be_done(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    for args, words in (
            (["--sensors", f"sim:{bad}"], "no sensor of --sensors sim can be used"),
            (["--listen", "nonsense"], "an address looks like"),
            (["--root", tmp_path / "nowhere"], "No such file"),
            (["--record", tmp_path / "no" / "dir.jsonl"], "No such file")):
        done = run("plugin", "--log-dir", tmp_path / "logs", *args)
        assert done.returncode == 1, args
        assert words in done.stderr


def test_without_a_sensor_the_estimate_says_that_it_is_one(plugin, load, tmp_path):
    (tmp_path / "root").mkdir()
    record = tmp_path / "record.jsonl"
    p = plugin("--root", tmp_path / "root", "--record", record, "--sensors",
               "rapl-powercap,estimate", "--estimate-watts", "1:5")
    one = load(1)
    p.wait_said("CPU power is ESTIMATED, not measured: 1.000:5.000 W a CPU as given, "
                "-50 % / \\+100 %")
    p.send(start_event([one.pid], [1], 3))
    found = p.wait_said(r"CPU ESTIMATED (\S+) J \((\S+) to (\S+)\)")
    joules, low, high = map(float, found.groups())
    assert low < 0.6 * joules and high > 1.9 * joules
    p.stop()
    lines = records(record)
    assert all("ESTIMATED" in x["flags"] and "-50 %" in x["model"] for x in lines)
    sources = p.log("sources.json")
    assert "ESTIMATED" in list(sources.values())[0]["cpu"]
    # One CPU of n is busy with this process: it gets its share of what they all draw.
    n = os.sysconf("SC_NPROCESSORS_ONLN")
    whole = sum(x["energy_uj"] for x in lines) / 1e6
    assert 1 * n * 3 * 0.95 < whole < 5 * n * 3 * 1.05


def test_without_estimate_in_the_list_it_refuses(tmp_path):
    (tmp_path / "root").mkdir()
    done = run("plugin", "--log-dir", tmp_path / "logs", "--root", tmp_path / "root",
               "--sensors", "rapl-powercap")
    assert done.returncode == 1
    assert "no estimate was asked for" in done.stderr


def test_the_answer_to_an_event_does_not_wait_for_a_sample(plugin, load):
    """The answer comes after the processes were opened and the first snapshot was ordered, and does not
    wait for the next sample."""
    period_s = 10
    p, one = plugin("--sensors", "sim", "--rate", 1 / period_s), load(0.1)
    p.send(stop_event([1]))
    took = []
    for _ in range(20):
        begun = time.perf_counter()
        assert p.send(start_event([one.pid], [1], 0)) == PUBLISHED
        took.append(time.perf_counter() - begun)
    assert sorted(took)[10] < period_s / 20, took
    assert json.loads((p.log_dir / "CPU.json").read_text()) is not None


CHILDREN_OF_ITS_OWN = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
for _ in range(40):
    pid = os.fork()
    if pid == 0:
        import time
        while time.process_time() < 0.02: pass
        os._exit(0)
    os.waitpid(pid, 0)
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("tree", [True, False])
def test_a_process_with_all_its_children(plugin, tree, tmp_path):
    """With --tree what short-lived children used is their maker's; without it is nobody's."""
    script = sim_script(tmp_path / "sim.json",
                        {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], **EXACT})
    p = plugin("--sensors", script, *(["--tree"] if tree else []))
    one = Load(0, CHILDREN_OF_ITS_OWN)
    try:
        p.send(start_event([one.pid], [1], 0))
        p.wait_said("measuring begins")
        one.process.stdin.write(b"begin\n")
        one.process.stdin.flush()
        assert one.process.stdout.readline() == b"done\n"
        p.send(stop_event([one.pid]))
        joules = float(p.wait_said(r"CPU[ A-Z]* ([\d.]+) J").group(1))
    finally:
        one.end()
    used_j = 40 * 40 * 0.02 / os.cpu_count()
    assert (joules > 0.97 * used_j) if tree else (joules < 0.5 * used_j)
