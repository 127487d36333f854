# SPDX-License-Identifier: MIT
"""powermeasure stat: processes, trees, control groups and the machine, while they run."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import AS_NOBODY, BUILD, GIVE_UP_S, POWERMEASURE, TOP, run, sim_script, wait_for

SIM = ("--sensors", "sim")
EXACT = {"unit": [1, 1], "update_ms": 1, "stamped": True}
CHILDREN = BUILD / "tests" / "fake" / "children"
IS_ROOT = os.geteuid() == 0

# Keeps its CPU busy for a part of the time in children that live for some milliseconds, from a first
# line of input to its end; then tells the CPU time of all of them and itself meanwhile.
FAMILY = """
import os, resource, select, sys, time
share, period = float(sys.argv[1]), 0.3
def used():
    a, b = (resource.getrusage(x) for x in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return a.ru_utime + a.ru_stime + b.ru_utime + b.ru_stime
print("ready", flush=True)
sys.stdin.readline()
before = used()
while not select.select([sys.stdin], [], [], 0)[0]:
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        while time.process_time() < period * share: pass
        os._exit(0)
    os.waitpid(pid, 0)
    time.sleep(max(0, begun + period - time.monotonic()))
print(used() - before, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def family():
    started = []

    def start(share):
        process = subprocess.Popen([sys.executable, "-S", "-c", FAMILY, str(share)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def stat_json(*args, **keywords):
    done = run("stat", *args, "--json", **keywords)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_json_is_as_its_schema_says(load):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((TOP / "docs" / "stat.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    one, two = load(0.5), load(0.1)
    report = stat_json(*SIM, "-p", f"{one.pid},{two.pid}", "-d", "0.5", "-I", "100")
    jsonschema.validate(report, schema)
    assert [x["pid"] for x in report["targets"]] == [one.pid, two.pid]
    assert 0.1 <= sum(x["interval_s"] for x in report["intervals"]) <= report["elapsed_s"] + 1e-4
    for kind in ("cpu", "dram"):
        micro = [round(x * 1e6) for x in (
            report["targets_energy_j"][kind], report["idle_energy_j"][kind],
            report["other_energy_j"][kind], report["tool"]["energy_j"][kind])]
        whole = [d for d in report["domains"] if d["kind"] == kind and d["counted"]]
        assert sum(micro) == sum(round(d["energy_j"] * 1e6) for d in whole)
        assert report["targets_energy_j"][kind] == pytest.approx(
            sum(x["energy_j"][kind] for x in report["targets"]), abs=1e-9)
    report = stat_json(*SIM, "-a", "-d", "0.3", "-I", "0")
    jsonschema.validate(report, schema)
    assert report["targets"] == [] and "targets_energy_j" not in report
    assert report["intervals"] == []


def begin(*families):
    for one in families:
        one.stdin.write(b"begin\n")
        one.stdin.flush()


def end(one):
    """Ends its work and returns the CPU seconds that it used."""
    one.stdin.write(b"end\n")
    one.stdin.flush()
    return float(one.stdout.readline())


def test_shares_of_trees(family, tmp_path):
    """Three to one, in children that live for milliseconds: each tree gets what it used."""
    script = sim_script(tmp_path / "flat.json",
                        {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], **EXACT})
    big, small = family(0.45), family(0.15)
    report = tmp_path / "report.json"
    stat = subprocess.Popen([str(POWERMEASURE), "stat", "--sensors", script, "--tree", "--json", "-o",
                             str(report), "-p", f"{big.pid},{small.pid}"], stderr=subprocess.PIPE)
    wait_for(lambda: signal_is_held(stat.pid))
    begin(big, small)
    start = time.monotonic()
    wait_for(lambda: time.monotonic() > start + 5)
    used = [end(big), end(small)]
    stat.send_signal(signal.SIGINT)
    assert stat.wait(GIVE_UP_S) == 0
    stat.stderr.close()
    told = json.loads(report.read_text())
    n_cpu = os.sysconf("SC_NPROCESSORS_ONLN")
    energy = [x["energy_j"]["cpu"] for x in told["targets"]]
    for joules, seconds in zip(energy, used):
        assert joules == pytest.approx(40 * seconds / n_cpu, rel=0.01)
    assert energy[0] / energy[1] == pytest.approx(used[0] / used[1], rel=0.01)


def signal_is_held(pid):
    blocked = re.search(r"SigBlk:\s*(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(blocked.group(1), 16) >> (signal.SIGINT - 1) & 1


def test_a_tree_without_any_right(family, public):
    if not IS_ROOT:
        pytest.skip("only root can become somebody else")
    one = family(0.3)
    stat = subprocess.Popen([*AS_NOBODY, public / "powermeasure", "stat", *SIM, "--tree", "-p",
                             str(one.pid), "-I", "0", "--json"], stdout=subprocess.PIPE, cwd="/")
    wait_for(lambda: signal_is_held(stat.pid))
    begin(one)
    time.sleep(3)
    used = end(one)
    stat.send_signal(signal.SIGINT)
    report = json.loads(stat.communicate(timeout=GIVE_UP_S)[0])
    assert report["targets"][0]["cpu_s"] == pytest.approx(used, rel=0.02, abs=0.02)
    assert any("/proc" in x for x in report["warnings"])


def test_it_ends_with_the_last_target(load):
    one, two = load(0.3), load(0.3)
    process = subprocess.Popen([str(POWERMEASURE), "stat", *SIM, "-p", str(one.pid), "-p",
                                str(two.pid), "-I", "50"], stderr=subprocess.PIPE, text=True)
    assert "targets" in process.stderr.readline()
    one.end()
    process.stderr.readline()
    assert process.poll() is None
    two.end()
    said = process.communicate(timeout=GIVE_UP_S)[1]
    assert process.returncode == 0 and f"pid {one.pid} (" in said


def test_ctrl_c_ends_it_with_a_report(load):
    process = subprocess.Popen([str(POWERMEASURE), "stat", *SIM, "-p", str(load(0.3).pid), "-I", "50"],
                               stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=GIVE_UP_S)[1]
    assert process.returncode == 0 and "machine:" in said


def test_control_group(tmp_path):
    """A group of one's own, or the one that this test is in."""
    group = None
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpuacct" in controllers.split(","):
            group = path
            if controllers:
                break
    done = run("stat", *SIM, "--cgroup", group, "-d", "0.3", "--json")
    if "tells no CPU time" in done.stderr or "no such control group" in done.stderr:
        pytest.skip(f"{group}: {done.stderr}")
    report = json.loads(done.stdout)
    assert report["targets"][0] == dict(report["targets"][0], pid=None, name=group)
    assert report["targets"][0]["cpu_s"] > 0


@pytest.mark.parametrize("arguments, said", [
    (["-p", "x"], "-p: not a PID: 'x'"),
    (["-p", "0"], "-p: not a PID: '0'"),
    (["-p", "-5"], "not a PID: '-5'"),
    (["-p", "1,,2"], "not a PID: ''"),
    (["-p", "2147483646"], "there is no such process"),
    (["--cgroup", "/no/such/group"], "there is no such control group"),
    (["-p", "1", "sleep", "1"], "unexpected argument: 'sleep'; to measure a command use"),
    ([], "what to measure is missing"),
    (["-a", "--json", "--record", "-"], "would both go to standard output"),
    (["-a", "-d", "0"], "-d: not a number of seconds from 0.001 to 31622400: '0'"),
    (["-a", "-I", "x"], "-I: not a whole number of milliseconds from 0 to 86400000: 'x'"),
    (["--tree", "-a"], "--tree needs -p"),
    (["-a", "-o", "/no/such/place/report"], "/no/such/place/report"),
])
def test_bad_input(arguments, said):
    done = run("stat", *SIM, *arguments)
    assert done.returncode in (1, 2) and said in done.stderr, done.stderr


def test_a_pid_that_goes_at_once():
    process = subprocess.Popen(["true"])
    process.wait()
    done = run("stat", *SIM, "-p", process.pid)
    assert done.returncode == 1 and "there is no such process" in done.stderr


def test_a_tree_in_another_one_is_counted_once():
    """CPU time is given out once: the inner one would take its share from the outer one."""
    script = "import os, time\nif os.fork(): os.wait()\nwhile time.process_time() < 30: pass\n"
    outer = subprocess.Popen([sys.executable, "-S", "-c", script], start_new_session=True)
    try:
        children = pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        if not children.exists():
            pytest.skip("this kernel has no lists of children")
        inner = int(wait_for(children.read_text))
        report = stat_json(*SIM, "--tree", "-p", f"{inner},{outer.pid}", "-d", "0.5")
        assert [x["pid"] for x in report["targets"]] == [outer.pid]
        assert report["targets_cpu_s"] <= 1.1 * report["elapsed_s"]
        assert any(f"pid {inner} is below pid {outer.pid}" in x for x in report["warnings"])
    finally:
        os.killpg(outer.pid, signal.SIGKILL)
        outer.wait()


def test_the_tool_within_a_tree_is_told(tmp_path):
    report = stat_json(*SIM, "--tree", "-p", os.getpid(), "-d", "0.2")
    assert any(f"this tool is below pid {os.getpid()}" in x for x in report["warnings"])


@pytest.mark.parametrize("before, sent", [
    ("sleep 0.2 &", None),        # a child of whoever was in this process before
    ("trap '' HUP;", signal.SIGHUP),  # as nohup does
])
def test_what_does_not_end_it(before, sent, tmp_path):
    report = tmp_path / "report"
    process = subprocess.Popen(["sh", "-c", f"{before} exec {POWERMEASURE} stat {' '.join(SIM)} -a "
                                            f"-d 1 -I 0 --json -o {report}"])
    wait_for(lambda: signal_is_held(process.pid))
    if sent:
        process.send_signal(sent)
    assert process.wait(GIVE_UP_S) == 0
    assert json.loads(report.read_text())["elapsed_s"] >= 0.99


def test_targets_that_overlap_are_told():
    """A process and a group that it is in: its time is given out twice, which cannot be."""
    group = next((line.split(":", 2)[2] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
                  if "cpuacct" in line.split(":")[1].split(",") or line.startswith("0::")), None)
    burners = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
               for _ in range(4 * os.sysconf("SC_NPROCESSORS_ONLN"))]
    try:
        pids = ",".join(str(x.pid) for x in burners)
        done = run("stat", *SIM, "-p", pids, "--cgroup", group, "-d", "0.5", "--json")
    finally:
        for one in burners:
            one.kill()
            one.wait()
    if done.returncode != 0:
        pytest.skip(f"{group}: {done.stderr}")
    report = json.loads(done.stdout)
    told = any("some are in others" in x for x in report["warnings"])
    # Where others keep the machine busy, both together may have got less than there is.
    assert told or report["targets_cpu_s"] < 1.06 * report["elapsed_s"] * os.sysconf("SC_NPROCESSORS_ONLN")
