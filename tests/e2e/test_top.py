# SPDX-License-Identifier: MIT
"""powermeasure top without a terminal: a table, JSON, a stream of it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from conftest import GIVE_UP_S, POWERMEASURE, TOP, run, sim_script, wait_for
from diary import DIARY, cpu_at, read_diary
from fakenvml import fake_nvml, gpu  # noqa: F401 (a fixture)

SIM = ("--sensors", "sim")
EXACT = {"unit": [1, 1], "update_ms": 1, "stamped": True}


def top_json(*args, **keywords):
    done = run("top", "--json", *args, **keywords)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def micro(value):
    return round(value * 1e6)


def check_sums(report):
    for domain in report["domains"]:
        parts = domain["parts"]
        assert micro(parts["energy_j"]) == sum(
            micro(parts[x] or 0) for x in ("processes_j", "ended_j", "tool_j", "idle_j", "other_j")), domain
        assert domain["power_w"] == pytest.approx(parts["energy_j"] / parts["interval_s"], rel=1e-3)
    shares = dict(report["shares_w"])
    assert micro(shares.pop("whole")) == sum(map(micro, shares.values()))
    # Each of the figures was rounded to a microwatt, in each domain.
    listed = sum(micro(x["power_w"]) for x in report["processes"])
    assert -3 * len(report["processes"]) <= listed - micro(shares["processes"]) <= 3


def test_json_is_as_its_schema_says(load):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((TOP / "docs" / "top.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    one = load(0.3)
    for sensors in (SIM, ("--sensors", "sim-polled"), (), ("--sensors", "nvml")):
        reports = top_json(*sensors, "-n", "3", "-d", "0.4")
        assert len(reports) == 3
        for report in reports:
            jsonschema.validate(report, schema)
            assert any(x["pid"] == one.pid for x in report["processes"])
            assert report["tool"]["cpu_percent"] > 0 and report["warnings"] == []
        assert [x["t_ns"] for x in reports] == sorted(x["t_ns"] for x in reports)
        if sensors == SIM:
            for report in reports:
                check_sums(report)
                assert all(x["power_w"] is not None for x in report["processes"])


def test_unknown_is_null_and_says_why(load):
    one = load(0.4)
    report, = top_json("--once", "-d", "0.3", "--sensors", "nvml")
    if report["domains"]:
        pytest.skip("there is a GPU")
    assert report["machine"]["power_w"] is None and report["shares_w"] is None
    assert all(x["power_w"] is None and x["energy_j"] is None for x in report["processes"])
    assert next(x for x in report["processes"] if x["pid"] == one.pid)["cpu_percent"] > 0
    assert {x["kind"] for x in report["unmeasured"]} == {"cpu", "dram", "gpu", "platform"}
    assert any("nvml: " in x["reason"] for x in report["unmeasured"])
    done = run("top", "--once", "-d", "0.3", "--sensors", "nvml")
    assert "machine n/a W" in done.stdout and "nvml: " in done.stdout


def test_three_to_one(load, tmp_path):
    """Two loads, one thrice the other: so are their watts, and both are what they used."""
    script = sim_script(tmp_path / "flat.json", {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], **EXACT})
    big, small = load(0.45, DIARY), load(0.15, DIARY)
    process = subprocess.Popen([str(POWERMEASURE), "top", "--json", "--sensors", script, "-d", "0.5"],
                               stdout=subprocess.PIPE, text=True)
    first = json.loads(process.stdout.readline())
    reports = [json.loads(process.stdout.readline()) for _ in range(10)]
    process.send_signal(signal.SIGINT)
    assert process.wait(GIVE_UP_S) == 0
    process.stdout.close()
    diaries = [read_diary(one) for one in (big, small)]
    used = [(cpu_at(diary, reports[-1]["t_ns"]) - cpu_at(diary, first["t_ns"])) / 1e9 for diary in diaries]
    joules = []
    for one in (big, small):
        of = [next(x for x in r["processes"] if x["pid"] == one.pid) for r in (first, *reports)]
        joules.append(of[-1]["energy_j"] - of[0]["energy_j"])
        mean_w = sum(x["power_w"] * r["interval_s"] for x, r in zip(of[1:], reports))
        assert mean_w == pytest.approx(joules[-1], rel=0.01)
    for got, seconds in zip(joules, used):
        assert got == pytest.approx(40 * seconds / reports[0]["machine"]["cpus"], rel=0.03)
    assert joules[0] / joules[1] == pytest.approx(used[0] / used[1], rel=0.03)
    for report in reports:
        check_sums(report)


def test_one_process_and_how_many(load):
    one, two = load(0.2), load(0.4)
    report, = top_json("--once", *SIM, "-d", "0.3", "-p", one.pid)
    assert [x["pid"] for x in report["processes"]] == [one.pid]
    assert report["n_processes"] > 1
    report, = top_json("--once", *SIM, "-d", "0.3", "-l", "2")
    assert len(report["processes"]) == 2
    report, = top_json("--once", *SIM, "-d", "0.3", "--sort", "pid")
    pids = [x["pid"] for x in report["processes"]]
    assert pids == sorted(pids) and {one.pid, two.pid} < set(pids)


def test_a_table_in_a_pipe(load):
    one = load(0.4)
    done = run("top", "--once", *SIM, "-d", "0.4")
    assert done.returncode == 0 and done.stderr == ""
    row = next(x for x in done.stdout.splitlines() if x.split()[:1] == [str(one.pid)])
    assert float(row.split()[2]) > 0 and float(row.split()[3]) > 0
    assert "SIMULATED" in done.stdout and "package-0" in done.stdout
    assert "this tool: " in done.stdout and "platform" in done.stdout and "n/a" in done.stdout


def test_an_estimate_says_so(tmp_path):
    done = run("top", "--once", "-d", "0.3", "--sensors", "estimate")
    assert "W ESTIMATED" in done.stdout.splitlines()[0]


def test_no_terminal():
    done = run("top", *SIM, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "--once" in done.stderr and done.stdout == ""


def test_a_reader_that_goes_away():
    process = subprocess.Popen([str(POWERMEASURE), "top", "--json", *SIM, "-d", "0.25"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(GIVE_UP_S) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_full_disk():
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(POWERMEASURE), "top", "--once", *SIM, "-d", "0.25"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output: No space left" in done.stderr


def test_who_comes_and_goes():
    """A process that lives through some refreshes is listed with what it used, and what it got is not
    lost when it has gone."""
    process = subprocess.Popen([str(POWERMEASURE), "top", "--json", *SIM, "-d", "0.3"],
                               stdout=subprocess.PIPE, text=True)
    try:
        json.loads(process.stdout.readline())
        one = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
        got = None
        until = time.monotonic() + GIVE_UP_S
        while not got or got["energy_j"] < 1:
            report = json.loads(process.stdout.readline())
            got = next((x for x in report["processes"] if x["pid"] == one.pid), got)
            assert time.monotonic() < until, report
        one.kill()
        one.wait()
        while any(x["pid"] == one.pid for x in report["processes"]):
            report = json.loads(process.stdout.readline())
            got = next((x for x in report["processes"] if x["pid"] == one.pid), got)
            assert time.monotonic() < until, report
        assert report["ended_energy_j"] >= got["energy_j"]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(GIVE_UP_S) == 0
        process.stdout.close()


def test_gpus_and_who_uses_them(load, fake_nvml):  # noqa: F811
    """Of one the driver tells who uses it, of the other it does not."""
    one, two = load(0.1), load(0.1)
    fake = fake_nvml(gpu(200, utilization=[80, 0], processes=[{"pid": one.pid, "sm": 30},
                                                              {"pid": two.pid, "sm": 20}]), gpu(50))
    reports = top_json("--sensors", "nvml", "-d", "0.5", "-n", "8", env=fake.env)
    # What is known of a GPU is known at once, who used it with the second look.
    assert reports[0]["machine"]["power_w"] == pytest.approx(250, rel=0.05)
    last = reports[-1]
    first, second = last["domains"]
    assert first["power_w"] == pytest.approx(200, rel=0.02) and second["power_w"] == pytest.approx(50, rel=0.02)
    assert {x["pid"]: x["percent"] for x in first["users"]} == {one.pid: 30, two.pid: 20}
    assert {x["name"] for x in first["users"]} <= {x["name"] for x in last["processes"]}
    assert second["users"] is None and second["parts"]["other_j"] == second["parts"]["energy_j"]
    check_sums(last)
    watts = {x["pid"]: x["power_w"] for x in last["processes"]}
    assert watts[one.pid] == pytest.approx(60, rel=0.03) and watts[two.pid] == pytest.approx(40, rel=0.03)
    assert last["shares_w"]["idle"] == pytest.approx(40, rel=0.03)
    # The one list, the other order: by watts.
    assert [x["pid"] for x in last["processes"][:2]] == [one.pid, two.pid]
    done = run("top", "--once", "--sensors", "nvml", "-d", "2.5", env=fake.env)
    assert f"({one.pid}) 30 %" in done.stdout and "its sensor does not tell" in done.stdout


# Works in children that live for some hundredths of a second; tells what they have used so far.
FAMILY = """
import os, resource, sys, time
print("ready", flush=True)
while True:
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        while time.process_time() < 0.03: pass
        os._exit(0)
    os.waitpid(pid, 0)
    time.sleep(max(0, begun + 0.1 - time.monotonic()))
"""


def test_who_lives_too_short_to_be_seen(load, tmp_path):
    script = sim_script(tmp_path / "flat.json", {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], **EXACT})
    one = load(0, FAMILY)

    def children_s():
        with open(f"/proc/{one.pid}/stat") as file:
            return sum(map(int, file.read().rsplit(")", 1)[1].split()[13:15])) / os.sysconf("SC_CLK_TCK")

    process = subprocess.Popen([str(POWERMEASURE), "top", "--json", "--sensors", script, "-d", "0.5"],
                               stdout=subprocess.PIPE, text=True)
    reports = [json.loads(process.stdout.readline())]
    before = children_s()
    reports += [json.loads(process.stdout.readline()) for _ in range(8)]
    used = children_s() - before
    process.send_signal(signal.SIGINT)
    assert process.wait(GIVE_UP_S) == 0
    process.stdout.close()
    ended = sum(x["domains"][0]["parts"]["ended_j"] for x in reports[1:])
    # What was seen of them while they lived was theirs. Others on the machine end, too.
    assert ended >= 0.6 * 40 * used / reports[0]["machine"]["cpus"], (ended, used)
    for report in reports:
        check_sums(report)


@pytest.mark.parametrize("arguments, said", [
    (["-d", "0"], "-d: not a number of seconds from 0.25 to 3600: '0'"),
    (["-d", "x"], "-d: not a number of seconds from 0.25 to 3600: 'x'"),
    (["-n", "0"], "-n: not a whole number of at least 1: '0'"),
    (["-p", "0"], "-p: not a PID: '0'"),
    (["-l", "0"], "-l: not a whole number of at least 1: '0'"),
    (["--sort", "size"], "--sort: not one of watts, cpu, joules, pid, user, name: 'size'"),
    (["--once", "-n", "2"], "--once and -n cannot be used together"),
    (["--once", "extra"], "unexpected argument: 'extra'"),
    (["--once", "-p", "2147483646"], "there is no such process"),
    (["--once", "--sensors", "nonsense"], "nonsense"),
])
def test_bad_input(arguments, said):
    done = run("top", *arguments)
    assert done.returncode in (1, 2) and said in done.stderr and done.stdout == "", done.stderr


def unshared(*command, **keywords):
    done = subprocess.run(["unshare", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, cwd="/", **keywords)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespace of its own can be had here: {done.stderr.strip()}")
    return done


def test_a_proc_of_another_namespace_is_refused():
    done = unshared("-p", "-f", str(POWERMEASURE), "top", "--once", *SIM)
    assert done.returncode == 1 and "/proc is of another PID namespace" in done.stderr, done


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_hidden_processes_are_said():
    with open(POWERMEASURE, "rb") as file:
        done = unshared("-m", "sh", "-c", "exec 9<&0; mount -t proc -o hidepid=2 proc /proc && exec "
                        "setpriv --reuid=12345 --regid=12345 --clear-groups /proc/self/fd/9 top --once "
                        "--json --sensors sim", stdin=file)
    if done.returncode == 126 or "setpriv:" in done.stderr:
        pytest.skip(f"the program cannot be started so: {done.stderr.strip()}")
    assert any("hidepid" in x for x in json.loads(done.stdout)["warnings"]), done


def test_a_table_that_was_cut_short_is_a_failure():
    top = subprocess.Popen([POWERMEASURE, "top", "--once", "-d", "60", *SIM], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    blocked = f"/proc/{top.pid}/status"
    wait_for(lambda: int(next(line.split()[1] for line in open(blocked)
                              if line.startswith("SigBlk")), 16) >> (signal.SIGTERM - 1) & 1)
    top.terminate()
    out, err = top.communicate(timeout=GIVE_UP_S)
    assert top.returncode == 1 and out == "" and "ended before the interval was over" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_process_that_becomes_another_users():
    code = ("import os, sys, time\n"
            "print('ready', flush=True)\n"
            "told = False\n"
            "while True:\n"
            "    until = time.process_time() + 0.01\n"
            "    while time.process_time() < until: pass\n"
            "    time.sleep(0.05)\n"
            "    if not told and os.path.exists(sys.argv[1]): told = True; os.setuid(54321)\n")
    with tempfile.TemporaryDirectory() as directory:
        go = os.path.join(directory, "go")
        one = subprocess.Popen([sys.executable, "-S", "-c", code, go], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
        one.stdout.readline()
        top = subprocess.Popen([POWERMEASURE, "top", "--json", "-d", "0.25", "-p", str(one.pid), *SIM],
                               stdout=subprocess.PIPE, text=True)
        try:
            users, until = [], time.monotonic() + GIVE_UP_S
            while "54321" not in users and time.monotonic() < until:
                users += [x["user"] for x in json.loads(top.stdout.readline())["processes"]]
                if users and not os.path.exists(go):
                    open(go, "w").close()
            assert users[0] == "root" and users[-1] == "54321", users
        finally:
            for process in top, one:
                process.kill()
                process.wait()
                process.stdout.close()
