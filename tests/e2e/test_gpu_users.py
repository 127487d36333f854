# SPDX-License-Identifier: MIT
"""Whose energy a GPU's is, where the driver tells which processes use it."""

import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import GIVE_UP_S, POWERMEASURE, run, wait_for
from fakenvml import fake_nvml, gpu  # noqa: F401 (a fixture)
from gpumeter import GPU_ONLY, energy_of, meter, off, steady  # noqa: F401 (a fixture)

LOOK = "nvmlDeviceGetProcessUtilization"
WATTS = 200


def used(pids, busy, **more):
    """A GPU that is so busy, with {pid or file: percent}."""
    processes = [dict({"sm": percent}, **({"pid": pid} if isinstance(pid, int) else
                                          {"pid_file": str(pid)})) for pid, percent in pids.items()]
    return gpu(WATTS, utilization=[busy, 0], processes=processes, **more)


def by_time(lines):
    parts = {}
    for line in lines:
        parts.setdefault((line["domain"], line["t_ns"]), []).append(line)
    return list(parts.values())


@pytest.mark.parametrize("idle", ["separate", "proportional"])
def test_energy_goes_by_use(meter, load, idle):  # noqa: F811
    one, two, stranger = load(0.1), load(0.1), load(0.1)
    m = meter(used({one.pid: 30, two.pid: 20, stranger.pid: 10}, 80), gpu(50),
              args=["--idle", idle])
    for who in one, two:
        m.begin(who.pid, GPU_ONLY, 7)
    wait_for(lambda: m.said.count("time is up") == 2)
    slices = by_time(m.lines("gpu", domain="gpu-0"))
    whole = 0.8 if idle == "proportional" else 1
    told = {}
    for parts in slices:
        energy = sum(p["energy_uj"] for p in parts)
        assert abs(off(energy * 1e3 / parts[0]["interval_ns"], WATTS)) < 0.01
        for p in parts:
            assert p["low_uj"] <= p["energy_uj"] <= p["high_uj"]
            assert p["attribution"] == {"idle": "idle-share", "other": "remainder"}.get(
                p["name"], "sm-share")
            key = p["pid"] or p["name"]
            told[key] = told.get(key, 0) + p["energy_uj"]
    total = sum(told.values())
    # From the first to the last look; about a second of it was before the first full one.
    settled = [parts for parts in slices if any(p["pid"] and p["energy_uj"] for p in parts)]
    assert len(settled) >= 5
    for parts in settled:
        energy = sum(p["energy_uj"] for p in parts)
        names = {p["pid"] or p["name"]: p["energy_uj"] for p in parts}
        assert abs(names[one.pid] - energy * 0.3 / whole) < 2
        assert abs(names[two.pid] - energy * 0.2 / whole) < 2
        assert abs(names["idle"] - (energy * 0.2 if idle == "separate" else 0)) < 2
        assert sum(names.values()) == energy
    # What was used before the first look is nobody's: a part of the whole that a busy machine makes larger.
    assert 0.15 / whole < told[one.pid] / total < 0.3 / whole + 0.001
    # Of the other GPU nothing is told, and all of it is `other`.
    assert {(p["name"], p["attribution"]) for p in m.lines("gpu", domain="gpu-1")} == {
        ("other", "none")}
    assert m.said.count("gpu-1: it is not told which process uses it") == 1
    assert "gpu-0: it is not told" not in m.said
    # The log stays the devices' sum.
    assert steady(m.watts(), WATTS + 50, 0.01), m.watts()
    joined = [parts[0] | {"energy_uj": sum(p["energy_uj"] for p in parts)} for parts in slices]
    energy_of(joined)


def test_the_log_names_the_processes_own_part(meter, load):  # noqa: F811
    """Over less than two looks that is not known, and the device's energy stands there as such."""
    who = load(0.1)
    m = meter(used({who.pid: 40}, 60))
    m.begin(who.pid, GPU_ONLY, 5)
    m.wait_over()
    found = re.search(r"GPU[A-Z ]* ([\d.]+) J \(([\d.]+) to ([\d.]+)\), mean [\d.]+ W "
                      r"\(whole device: ([\d.]+) J\); time is up", m.said)
    assert found, m.said
    mine, low, high, device = (float(group) for group in found.groups())
    # Of the time before the first look nothing is known.
    assert low <= mine <= high and 0.2 < mine / device < 0.41, found.group()
    assert "for the whole device" not in m.said
    m.begin(who.pid, GPU_ONLY, 1)
    wait_for(lambda: m.said.count("time is up") == 2)
    assert "W for the whole device; time is up" in m.said.splitlines()[-1], m.said


@pytest.mark.alone
def test_it_is_looked_at_once_a_second(meter, load):  # noqa: F811
    """While somebody wants to know, and else not at all."""
    who = load(0.1)
    m = meter(used({who.pid: 50}, 50))
    before = m.fake.counts()[LOOK]
    m.begin(who.pid, GPU_ONLY, 5)
    m.wait_over()
    looks = m.fake.counts()[LOOK]
    assert 4 <= looks - before <= 7
    m.begin(who.pid, [1], 3)
    wait_for(lambda: m.said.count("time is up") == 2)
    assert m.fake.counts()[LOOK] == looks


def test_run_tells_what_the_command_used(fake_nvml, tmp_path):  # noqa: F811
    fake = fake_nvml(used({tmp_path / "pid": 40}, 60))
    script = f"echo $$ > {tmp_path}/pid; exec sleep 5.3"
    done = run("run", "--json", "-I", "2500", "--sensors", "nvml,estimate", "sh", "-c", script,
               env=fake.env)
    report = json.loads(done.stderr)
    (whole,) = [d["energy_j"] for d in report["domains"] if d["kind"] == "gpu"]
    mine, idle, other = (report[key]["gpu"] for key in (
        "command_energy_j", "idle_energy_j", "other_energy_j"))
    tool = report["tool"]["energy_j"]["gpu"]
    assert abs(mine + idle + other + tool - whole) < 1e-5 and tool == 0
    # The first look of all tells nothing yet.
    assert abs(mine / whole - 0.4) < 0.05 and abs(idle / whole - 0.4) < 0.05
    figure = report["command_energy_range_j"]["gpu"]
    assert figure["low_j"] <= mine <= figure["high_j"]
    assert not any("not known which process" in w for w in report["warnings"])
    row = report["runs"][0]["intervals"][1]
    watts = row["asked_energy_j"]["gpu"] / row["interval_s"]
    assert abs(off(watts, 0.4 * WATTS)) < 0.1, row


@pytest.mark.parametrize("interval_ms, known", [(2500, True), (1000, False)])
def test_rows_have_the_targets_part(fake_nvml, load, interval_ms, known):  # noqa: F811
    """Over less than two looks it is not known, which is not 0."""
    who = load(0.1)
    fake = fake_nvml(used({who.pid: 40}, 60))

    def stat(*more):
        done = run("stat", "-p", str(who.pid), "-I", str(interval_ms), "-d", str(2.2 * interval_ms / 1e3),
                   "--sensors", "nvml,estimate", *more, env=fake.env)
        assert done.returncode == 0, done
        return done

    head, *rows = stat().stderr.splitlines()[:3]
    assert head.split()[-3:] == ["GPU", "W", "targets"], head
    row = rows[1].split()
    assert len(row) == len(head.replace(" W", "").split()), rows
    rows = json.loads(stat("--json").stdout)["intervals"]
    mine = rows[1]["asked_energy_j"]["gpu"]
    if known:
        assert abs(off(float(row[-1]), 0.4 * WATTS)) < 0.1, row
        assert abs(off(mine / rows[1]["interval_s"], 0.4 * WATTS)) < 0.1, rows
    else:
        assert row[-1] == "-" and mine is None, (row, rows)


@pytest.mark.parametrize("more", [{"mig": 2}, {"missing": True},
                                  {"module_only": True, "power": False}])
def test_it_is_null_where_it_is_not_told(fake_nvml, more):  # noqa: F811
    one = used({1: 40}, 60, **more)
    if more.get("missing"):
        del one["utilization"]
    done = run("run", "--json", "--sensors", "nvml,estimate", "sleep", "3", env=fake_nvml(one).env)
    report = json.loads(done.stderr)
    assert report["command_energy_j"]["gpu"] is None and report["idle_energy_j"]["gpu"] is None
    (whole,) = [d["energy_j"] for d in report["domains"] if d["kind"] == "gpu"]
    assert abs(report["other_energy_j"]["gpu"] - whole) < 1e-6
    assert any("not known which process used it" in w for w in report["warnings"])


def test_dirt_is_nobodys(meter, load):  # noqa: F811
    """More than there is, and pids of nobody."""
    who = load(0.1)
    m = meter(used({who.pid: 80, 999999: 80, 0: 10, 4000000: 250}, 20))
    m.begin(who.pid, GPU_ONLY, 4)
    m.wait_over()
    for parts in by_time(m.lines("gpu")):
        energy = sum(p["energy_uj"] for p in parts)
        mine = sum(p["energy_uj"] for p in parts if p["pid"])
        assert mine == 0 or abs(mine / energy - 80 / 170) < 0.01


def test_pids_of_a_namespace_are_not_the_drivers(fake_nvml):  # noqa: F811
    unshare = shutil.which("unshare")
    prefix = [unshare or "unshare", "--pid", "--fork", "--mount-proc"]
    if not unshare or subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no PID namespace can be made here")
    fake = fake_nvml(used({1: 50}, 50))
    done = subprocess.run([*prefix, str(POWERMEASURE), "list", "--json", "--sensors", "nvml"],
                          env=dict(os.environ, **fake.env), stdout=subprocess.PIPE, timeout=GIVE_UP_S)
    (nvml,) = [s for s in json.loads(done.stdout)["sensors"] if s["name"] == "nvml"]
    assert nvml["used"] and "is not known in a PID namespace" in nvml["reason"]
    assert "--pid=host" in nvml["fix"]
