# SPDX-License-Identifier: MIT
"""Phases that a program marks while `run` measures it: in C, in Python, and in whatever way they
should not be marked."""

import json
import os
import pathlib
import random
import re
import subprocess
import sys

import pytest

from conftest import BUILD, GIVE_UP_S, POWERMEASURE, TOP, sim_energy_j, sim_script, start_event, stop_event, wait_for

PHASER = BUILD / "tests" / "fake" / "phaser"
PYTHON = dict(os.environ, PYTHONPATH=str(TOP / "python"))
CURVE = [[0.013, 20.0], [0.031, 60.0], [0.007, 5.0], [0.11, 35.0]]


@pytest.fixture
def script(tmp_path):
    return sim_script(tmp_path / "sim.json",
                      {"name": "package-0", "kind": "cpu", "curve": CURVE, "unit": [1000000, 16384],
                       "wrap": 4294967296})


@pytest.fixture
def measured(tmp_path, script):
    """Runs a command that marks phases; returns (process, {name: phase}, report)."""
    def measure(*command, options=(), schema="run", **keywords):
        path = tmp_path / "report.json"
        done = subprocess.run([str(POWERMEASURE), "run", "--sensors", script, *options, "--json", "-o",
                               str(path), "--", *map(str, command)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S, **keywords)
        report = json.loads(path.read_text())
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.validate(report, json.loads((TOP / "docs" / f"{schema}.schema.json").read_text()))
        left = [n for n in os.listdir("/dev/shm") if n.startswith("powermeasure-phases.")]
        mine = [n for n in left if owner_of(pathlib.Path("/dev/shm") / n) == done.args]
        assert not mine
        return done, {p["name"]: p for p in report["phases"]}, report
    return measure


def maker_of(path):
    """The pid of the run that made it; None where that is not to be seen."""
    try:
        return int.from_bytes(path.read_bytes()[24:32], "little")
    except OSError:
        return None


def owner_of(path):
    """Nobody's, if the run that made it has ended: files of others' runs may be there meanwhile."""
    pid = maker_of(path)
    return None if pid is None or pathlib.Path(f"/proc/{pid}").exists() else pid


def times_of(output):
    """[(what, before, after)] as phaser tells them."""
    return [(line[0], line.split()[0][1:], *map(int, line.split()[1:]))
            for line in output.splitlines() if line[0] in "+-"]


def troubles(report):
    return {name: n for name, n in report["phase_markers"].items() if n}


# ---- what is told is true ------------------------------------------------------------------------


@pytest.mark.alone
def test_the_truth_is_within_the_bounds(measured):
    """A curve whose energy is known, and phases of four lengths anywhere in it, each by its name."""
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    ops = ["sleep=150"]
    for i in range(12):
        for ms in (5, 10, 50, 300):
            ops += [f"sleep={rng.randrange(1, 30)}", f"+{ms}.{i}", f"sleep={ms}", f"-{ms}.{i}"]
    done, phases, report = measured(PHASER, *ops)
    assert done.returncode == 0, done.stderr
    assert troubles(report) == {} and len(phases) == 48, report["phase_markers"]
    times = times_of(done.stdout)
    exact = 0
    for (_, name, begin_before, begin_after), (_, end, end_before, end_after) in zip(times[::2],
                                                                                 times[1::2]):
        assert name == end
        most = sim_energy_j(CURVE, end_after) - sim_energy_j(CURVE, begin_before)
        least = sim_energy_j(CURVE, end_before) - sim_energy_j(CURVE, begin_after)
        figure = phases[name]["whole_energy_j"]["cpu"]
        assert figure["low_j"] <= most + 1e-6 and least - 1e-6 <= figure["high_j"], (
            seed, name, least, most, figure)
        assert begin_before / 1e9 <= end_after / 1e9
        assert abs(phases[name]["elapsed_s"] - (end_before - begin_after) / 1e9) <= (
            begin_after - begin_before + end_after - end_before) / 1e9 + 1e-6
        if figure["too_short"]:
            assert figure["energy_j"] is None and figure["each_j"] is None
        else:
            exact += 1
            assert figure["low_j"] <= figure["energy_j"] <= figure["high_j"]
            assert figure["energy_j"] == pytest.approx(figure["each_j"], abs=1e-6)
    # At 100 readings a second a third of a second is long enough, also where some of them come late.
    assert exact >= 6, (seed, phases)


def test_what_is_too_short_is_said(measured):
    done, phases, _ = measured(PHASER, "sleep=200", "+blink", "-blink", "sleep=20")
    blink = phases["blink"]["whole_energy_j"]["cpu"]
    assert blink["too_short"] and blink["energy_j"] is None and blink["high_j"] > 0
    text = subprocess.run([str(POWERMEASURE), "run", "--sensors", "sim", str(PHASER), "sleep=200",
                           "+blink", "-blink", "+long", "sleep=300", "-long"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          timeout=GIVE_UP_S).stderr
    blink, long = re.search(r"^  blink .*?(?=^  long)", text, re.M | re.S), text.split("  long ")[1]
    assert "whole CPU         too short for the sensor: 0" in blink.group(0), text
    assert re.search(r"whole CPU +[\d.]+ J \([\d.]+ to [\d.]+ J\), [\d.]+ J each", long), text


def test_all_of_it_is_the_whole_command(measured):
    done, phases, report = measured(PHASER, "sleep=120", "+all", "burn=400", "-all")
    whole, cpu = report["domains"][0], phases["all"]["whole_energy_j"]["cpu"]
    command = phases["all"]["command_energy_j"]["cpu"]
    assert cpu["energy_j"] < whole["energy_j"] and cpu["energy_j"] > 0.5 * whole["energy_j"]
    # All that the command did was done in it, but for its start.
    assert command["low_j"] <= report["command_energy_range_j"]["cpu"]["high_j"]
    assert command["high_j"] >= report["command_energy_range_j"]["cpu"]["low_j"] * 0.9


def test_runs_are_added_up(measured):
    done, phases, report = measured(PHASER, "sleep=110", "+a", "sleep=30", "-a", options=("-r", "3"))
    assert phases["a"]["count"] == 3
    each = [run["phases"][0] for run in report["runs"]]
    assert [p["count"] for p in each] == [1, 1, 1]
    for key in ("low_j", "high_j"):
        assert phases["a"]["whole_energy_j"]["cpu"][key] == pytest.approx(
            sum(p["whole_energy_j"]["cpu"][key] for p in each), abs=1e-5)


def test_without_markers_there_are_no_phases(measured):
    done, phases, report = measured("true")
    assert phases == {} and troubles(report) == {}


# ---- threads, processes, nesting -----------------------------------------------------------------


def test_phases_nest_and_overlap(measured):
    done, phases, report = measured(PHASER, "+outer", "sleep=20", "+inner", "sleep=20", "-inner",
                                    "sleep=20", "-outer", "+outer", "sleep=10", "-outer")
    assert phases["outer"]["count"] == 2 and phases["inner"]["count"] == 1
    assert phases["outer"]["elapsed_s"] > phases["inner"]["elapsed_s"] >= 0.02
    assert troubles(report) == {}


def test_threads_at_the_same_time_count_once(measured):
    done, phases, report = measured(PHASER, "together=8")
    thread = phases["thread"]
    assert thread["count"] == 8 and troubles(report) == {}
    assert thread["sum_s"] >= 8 * 0.02 and thread["elapsed_s"] < thread["sum_s"]


def test_more_threads_than_rings_one_after_the_other(measured):
    """A ring whose thread is gone is used again."""
    done, phases, report = measured(PHASER, "threads=400", "sleep=150", "threads=400")
    assert done.returncode == 0
    markers = report["phase_markers"]
    assert 2 * (phases["thread"]["count"] - markers["unfinished"]) + markers["unfinished"] + markers[
        "stray_ends"] + markers["lost"] == 1600, markers
    assert phases["thread"]["count"] >= 500 and troubles(report).get("threads_refused") is None


def test_more_threads_than_rings_at_once(measured):
    done, phases, report = measured(PHASER, "together=300")
    assert done.returncode == 0
    assert phases["thread"]["count"] == 256 and troubles(report) == {"threads_refused": 44}
    assert any("44 threads found no place to mark phases" in w for w in report["warnings"])


def test_a_fork_within_a_phase(measured):
    """The child's end is not the parent's."""
    done, phases, report = measured(PHASER, "+p", "sleep=10", "fork", "sleep=30", "-p", "+q", "-q")
    assert done.returncode == 0
    assert phases["p"]["count"] == 1 and phases["q"]["count"] == 2
    assert phases["p"]["elapsed_s"] >= 0.07  # until the parent's, after the child has ended
    assert troubles(report) == {"stray_ends": 1}


def test_exec_goes_on(measured):
    done, phases, report = measured(PHASER, "+p", "sleep=10", "exec", "sleep=10", "-p", "+q", "-q")
    assert phases["p"]["count"] == phases["q"]["count"] == 1
    assert phases["p"]["elapsed_s"] >= 0.02 and troubles(report) == {}


def test_below_a_shell(measured):
    done, phases, report = measured("sh", "-c", f"{PHASER} +a sleep=20 -a; {PHASER} +a sleep=20 -a & "
                                    f"{PHASER} +b -b; wait")
    assert phases["a"]["count"] == 2 and phases["b"]["count"] == 1 and troubles(report) == {}


def test_as_somebody_else(measured, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    program = pathlib.Path("/dev/shm") / f"phaser-{os.getpid()}"
    program.write_bytes(PHASER.read_bytes())
    program.chmod(0o755)
    try:
        done, phases, report = measured(program, "+a", "-a", options=("--user", "nobody"), cwd="/")
        assert phases["a"]["count"] == 1
    finally:
        program.unlink()


# ---- markers as they should not be ----------------------------------------------------------------


def test_a_beginning_without_an_end(measured):
    done, phases, report = measured("sh", "-c", f"{PHASER} +a sleep=30 kill; sleep 2")
    assert phases["a"]["count"] == phases["a"]["unfinished"] == 1
    assert troubles(report) == {"unfinished": 1}
    # It ended with its process, not with the run.
    assert 0.03 <= phases["a"]["elapsed_s"] < report["elapsed_s"] - 0.5
    assert any("had no end" in w for w in report["warnings"])


def test_an_end_without_a_beginning(measured):
    done, phases, report = measured(PHASER, "-a", "+b", "-b", "-b")
    assert set(phases) == {"b"} and phases["b"]["count"] == 1
    assert troubles(report) == {"stray_ends": 2}


def test_wrong_nesting(measured):
    done, phases, report = measured(PHASER, "+a", "sleep=20", "+b", "sleep=20", "-a", "sleep=20", "-b")
    assert phases["a"]["count"] == phases["b"]["count"] == 1
    assert phases["a"]["elapsed_s"] >= 0.04 and phases["b"]["elapsed_s"] >= 0.04
    assert troubles(report) == {"misnested": 1}


def test_a_million_markers(measured):
    """Each of them is counted: as a phase or as lost."""
    done, phases, report = measured(PHASER, "sleep=110", "many=500000", "+after", "sleep=20", "-after")
    assert done.returncode == 0
    lost, n = report["phase_markers"]["lost"], phases["many"]["count"]
    unmatched = report["phase_markers"]["unfinished"] + report["phase_markers"]["stray_ends"]
    assert lost > 0 and 2 * n - report["phase_markers"]["unfinished"] + report["phase_markers"][
        "stray_ends"] + lost == 1000000, (n, report["phase_markers"])
    assert unmatched >= 0 and phases["after"]["count"] == 1
    assert any("lost" in w for w in report["warnings"])


def test_too_many_names(measured):
    done, phases, report = measured(PHASER, "names=70", "+name-3", "-name-3")
    assert len(phases) == 64 and phases["name-3"]["count"] == 2
    assert report["phase_markers"]["unnamed"] == 12


def test_a_name_that_is_too_long(measured):
    long = "x" * 80
    done, phases, report = measured(PHASER, f"+{long}", f"-{long}", f"+{long}", f"-{long}",
                                    "+tab\there", "-tab\there", "+\xe4", "-\xe4")
    assert set(phases) == {"x" * 63, "tab?here", "\xe4"} and phases["x" * 63]["count"] == 2
    assert report["phase_markers"]["names_cut"] == 1


@pytest.mark.parametrize("seed", range(8))
def test_rubbish_is_its_own_process_s_trouble(measured, seed):
    done, phases, report = measured(
        "sh", "-c", f"{PHASER} +bad rubbish={seed} & {PHASER} +good sleep=200 -good +good -good; wait")
    assert phases["good"]["count"] == 2 and 0.2 <= phases["good"]["elapsed_s"], (seed, phases)
    markers = report["phase_markers"]
    assert markers["rubbish"] + markers["lost"] > 0, (seed, markers)
    assert any("make no sense" in w or "made no sense" in w or "lost" in w for w in report["warnings"])


def test_a_channel_that_is_cut_short(measured):
    done, phases, report = measured(PHASER, "+a", "-a", "sleep=2000", "cut", "sleep=150")
    assert phases["a"]["count"] == 1 and report["phase_markers"]["rubbish"] >= 1


def test_no_channel_no_harm(tmp_path):
    """With nobody measuring, or with a channel that is none, a program runs as ever."""
    none = tmp_path / "none"
    none.write_bytes(b"PMPHASE\0" + bytes(1000))
    for path in (None, "", "/no/such/file", "/dev/null", str(none), str(tmp_path)):
        env = {k: v for k, v in PYTHON.items() if k != "POWERMEASURE_PHASES"}
        env.update({"POWERMEASURE_PHASES": path} if path is not None else {})
        for program in ([str(PHASER), "+a", "-a", "threads=3", "fork", "+b"],
                        ["/usr/bin/python3", "-c", "import powermeasure\n"
                         "with powermeasure.phase('a'): print(1)"]):
            done = subprocess.run(program, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=GIVE_UP_S)
            assert done.returncode == 0 and done.stderr == b"", (path, program, done)


# ---- Python ---------------------------------------------------------------------------------------

PYTHON_PHASES = """
import asyncio, multiprocessing, os, subprocess, sys, threading, time
import powermeasure

@powermeasure.phase
def bare(x, y=1):
    "what it does"
    return x + y

@powermeasure.phase("named")
def named():
    time.sleep(0.02)
    return "result"

@powermeasure.phase("async")
async def waits():
    await asyncio.sleep(0.01)
    return 3

@powermeasure.phase("generator")
def counts():
    yield 1
    yield 2

assert bare(1, y=2) == 3 and bare.__doc__ == "what it does" and bare.__name__ == "bare"
assert named() == "result" and asyncio.run(waits()) == 3 and list(counts()) == [1, 2]
try:
    with powermeasure.phase("raises"):
        raise KeyError
except KeyError:
    pass
for wrong in (1, None, b"bytes"):
    try:
        powermeasure.phase(wrong)
        sys.exit("no TypeError")
    except TypeError:
        pass
def work():
    with powermeasure.phase("thread"):
        time.sleep(0.03)
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
with powermeasure.phase("outer"):
    pid = os.fork()
    with powermeasure.phase("both"):
        pass
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert pool.map(bare, range(30)) == [x + 1 for x in range(30)]
subprocess.run([sys.executable, "-c", "import powermeasure\\nwith powermeasure.phase('sub'): pass"],
               check=True)
"""


def test_python(measured):
    done, phases, report = measured("/usr/bin/python3", "-c", PYTHON_PHASES, env=PYTHON)
    assert done.returncode == 0, done.stderr
    counts = {name: p["count"] for name, p in phases.items()}
    assert counts == {"bare": 31, "named": 1, "async": 1, "generator": 1, "raises": 1, "thread": 4,
                      "outer": 1, "both": 2, "sub": 1}
    assert phases["named"]["elapsed_s"] >= 0.02 and phases["thread"]["sum_s"] >= 0.12
    assert troubles(report) == {}, report["phase_markers"]


def test_c_and_python_in_one_thread(measured):
    """The rings of one thread are one thread's, also those of the programs that it executes."""
    done, phases, report = measured(
        "/usr/bin/python3", "-c", "import os, sys, powermeasure\n"
        "powermeasure.phase('p').__enter__()\n"
        f"os.execv({str(PHASER)!r}, ['phaser', 'sleep=20', '-p'])", env=PYTHON)
    assert phases["p"]["count"] == 1 and phases["p"]["elapsed_s"] >= 0.02 and troubles(report) == {}


def test_python_names(measured):
    code = ("import powermeasure\n"
            "for i in range(70):\n"
            "    with powermeasure.phase(f'n{i}'): pass\n"
            "for n in ('\u00e4' * 40, 'a\\0b', ''):\n"
            "    with powermeasure.phase(n): pass\n")
    done, phases, report = measured("/usr/bin/python3", "-c", code, env=PYTHON)
    assert done.returncode == 0, done.stderr
    assert len(phases) == 64 and report["phase_markers"]["unnamed"] == 18


def test_the_two_layouts_are_one():
    header = (TOP / "include" / "powermeasure_phase.h").read_text()
    sys.path.insert(0, str(TOP / "python"))
    from powermeasure import _phase
    for name in ("VERSION", "RINGS", "RECORDS", "NAMES", "NAME", "SLOTS_AT"):
        value = re.search(rf"#define PM_PHASE_{name}_ (\d+)", header).group(1)
        assert getattr(_phase, f"_{name}") == int(value), name


@pytest.mark.parametrize("compiler", ["gcc -std=gnu99", "gcc -std=c99 -D_DEFAULT_SOURCE",
                                      "gcc -std=gnu17", "g++ -std=c++11", "g++ -std=c++20"])
def test_the_header_in_other_languages(compiler, tmp_path, measured):
    """Without a warning, and as one program of two files that know of each other's phases."""
    suffix = ".cc" if "++" in compiler else ".c"
    for name, body in (("a", "void b(void); int main(void) { pm_phase_begin(\"x\"); b(); return 0; }"),
                       ("b", "void b(void); void b(void) { { PM_PHASE(\"y\"); } pm_phase_end(\"x\"); }")):
        (tmp_path / (name + suffix)).write_text(f"#include <powermeasure_phase.h>\n{body}\n")
    subprocess.run([*compiler.split(), "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow",
                    "-Wpedantic", "-Werror", f"-I{TOP / 'include'}", "-o", str(tmp_path / "x"),
                    str(tmp_path / ("a" + suffix)), str(tmp_path / ("b" + suffix))], check=True)
    done, phases, report = measured(tmp_path / "x")
    assert {name: p["count"] for name, p in phases.items()} == {"x": 1, "y": 1}
    assert troubles(report) == {}


# ---- stat: programs that run already --------------------------------------------------------------


@pytest.fixture
def channel():
    path = pathlib.Path(f"/dev/shm/pm-test-{os.getpid()}-{random.randrange(1 << 30)}")
    yield path
    path.unlink(missing_ok=True)


def start(program, channel):
    child = subprocess.Popen([str(x) for x in program], stdout=subprocess.PIPE, text=True,
                             env=dict(PYTHON, POWERMEASURE_PHASES=str(channel)))
    return child


@pytest.mark.parametrize("program", [
    [PHASER, "loop"],
    ["/usr/bin/python3", "-c", "import powermeasure, time\n"
     "while True:\n"
     "    for _ in range(200):\n"
     "        with powermeasure.phase('loop'): time.sleep(0)\n"
     "    with powermeasure.phase('long'): time.sleep(0.1)"]], ids=["C", "Python"])
def test_stat_of_a_program_that_runs_already(channel, script, program, tmp_path):
    """It began before there was a channel, and finds it; who is no target is left out."""
    child, other = start(program, channel), start(program, channel)
    try:
        done = subprocess.run([str(POWERMEASURE), "stat", "--sensors", script, "-p", str(child.pid),
                               "-d", "2", "--json", "-o", str(tmp_path / "o"), "--phases",
                               str(channel)], stderr=subprocess.PIPE, text=True,
                              timeout=GIVE_UP_S)
        assert done.returncode == 0, done.stderr
        report = json.loads((tmp_path / "o").read_text())
        pytest.importorskip("jsonschema").validate(
            report, json.loads((TOP / "docs" / "stat.schema.json").read_text()))
        phases = {p["name"]: p for p in report["phases"]}
        assert phases["long"]["count"] >= 3, report
        assert phases["long"]["targets_energy_j"]["cpu"]["high_j"] >= 0
        assert any("not asked for were left out" in w for w in report["warnings"])
        assert not channel.exists()
    finally:
        for process in (child, other):
            process.kill()
            process.wait()


def test_a_channel_in_use_is_refused_and_one_left_behind_replaced(channel):
    sleeper = start(["sleep", "60"], channel)
    command = [str(POWERMEASURE), "stat", "--sensors", "sim", "-p", str(sleeper.pid), "--phases",
               str(channel)]
    first = subprocess.Popen([*command, "-d", "60"], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(channel.exists)
        wait_for(lambda: channel.read_bytes()[:8] == b"PMPHASE\0")
        assert channel.stat().st_mode & 0o777 == 0o600
        refused = subprocess.run([*command, "-d", "1"], stderr=subprocess.PIPE, text=True,
                                 timeout=GIVE_UP_S)
        assert refused.returncode == 1 and f"in use by pid {first.pid}" in refused.stderr
        first.kill()
        first.wait()
        assert channel.exists()
        again = subprocess.run([*command, "-d", "0.2"], stderr=subprocess.PIPE, text=True,
                               timeout=GIVE_UP_S)
        assert again.returncode == 0, again.stderr
        channel.write_bytes(b"something else")
        refused = subprocess.run([*command, "-d", "0.2"], stderr=subprocess.PIPE, text=True,
                                 timeout=GIVE_UP_S)
        assert refused.returncode == 1 and "is no channel" in refused.stderr
        assert channel.read_bytes() == b"something else"
    finally:
        for process in (first, sleeper):
            process.kill()
            process.wait()


def test_what_a_killed_run_left_is_removed_by_the_next():
    first = subprocess.Popen([str(POWERMEASURE), "run", "--sensors", "sim", str(PHASER), "+a", "sleep=60000"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert first.stdout.readline().startswith("+a")
    mine = [path for path in pathlib.Path("/dev/shm").glob("powermeasure-phases.*")
            if maker_of(path) == first.pid]
    assert len(mine) == 1
    for alive in (True, False):
        if not alive:
            first.kill()
            first.wait()
        subprocess.run([str(POWERMEASURE), "run", "--sensors", "sim", "-o", "/dev/null", "true"],
                       check=True, timeout=GIVE_UP_S)
        assert mine[0].exists() == alive
    # The command outlived its tool.
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"POWERMEASURE_PHASES={mine[0]}".encode() in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), 9)
        except OSError:
            pass


@pytest.mark.parametrize("path", ["/tmp/x", "/dev/shm/", "/dev/shm/../tmp/x", "/dev/shm/a/b", "x", "",
                                  "/dev/shm/" + "x" * 300])
def test_a_channel_elsewhere_is_refused(path):
    done = subprocess.run([str(POWERMEASURE), "stat", "--sensors", "sim", "-p", str(os.getpid()), "-d",
                           "1", "--phases", path], stderr=subprocess.PIPE, text=True,
                          timeout=GIVE_UP_S)
    assert done.returncode == 2 and "is no file in /dev/shm/" in done.stderr


# ---- plugin ---------------------------------------------------------------------------------------


def test_plugin(plugin, channel, script, tmp_path):
    """Each process its own: in the record and, at the session's end, in a file of its own."""
    p = plugin("--sensors", script, "--phases", channel, "--rate", "100", "--record",
               tmp_path / "record")
    children = [start(program, channel) for program in (
        [PHASER, "+before", "sleep=3000", "-before", "+a", "sleep=300", "-a", "+a", "sleep=100", "-a",
         "+open", "sleep=60000"],
        [PHASER, "sleep=3000", "+b", "sleep=500", "-b", "sleep=60000"],
        ["sleep", "60"])]
    try:
        # The first one's first phase is on when its session begins.
        assert children[0].stdout.readline().startswith("+before")
        p.send(start_event([c.pid for c in children], types=[1], seconds=0))
        p.wait_said(rf"pid {children[2].pid} .*measuring begins")
        for child, last in (children[0], "+open"), (children[1], "-b"):
            while not child.stdout.readline().startswith(last):
                pass
        p.send(stop_event([c.pid for c in children]))
        p.wait_said(rf"pid {children[1].pid} .*; stopped")
        reports = [wait_for(lambda: (p.log_dir / f"phases_{c.pid}.json").exists() and
                            p.log(f"phases_{c.pid}.json")) for c in children[:2]]
        first, second = [{x["name"]: x for x in r["phases"]} for r in reports]
        assert {name: x["count"] for name, x in first.items()} == {"before": 1, "a": 2, "open": 1}
        assert first["open"]["unfinished"] == 1 == reports[0]["phase_markers"]["unfinished"]
        assert 0.4 <= first["a"]["elapsed_s"] < reports[0]["elapsed_s"] - first["before"]["elapsed_s"]
        assert 0.5 <= second["b"]["elapsed_s"]
        assert {name: x["count"] for name, x in second.items()} == {"b": 1}
        assert second["b"]["whole_energy_j"]["cpu"]["energy_j"] > 0
        assert second["b"]["process_energy_j"]["cpu"]["high_j"] >= 0
        assert not (p.log_dir / f"phases_{children[2].pid}.json").exists()
        # A second session has what is on already, also since before the first one's end, and
        # nothing of what was before.
        p.send(start_event([c.pid for c in children[:2]], types=[1], seconds=1))
        last = wait_for(lambda: p.log(f"phases_{children[0].pid}.json")["start_time"] >
                        reports[0]["start_time"] and p.log(f"phases_{children[0].pid}.json"))
        assert [(x["name"], x["count"], x["unfinished"]) for x in last["phases"]] == [("open", 1, 1)]
        assert last["phases"][0]["elapsed_s"] == pytest.approx(last["elapsed_s"], abs=0.001)
        assert p.log(f"phases_{children[1].pid}.json") == reports[1]
    finally:
        for c in children:
            c.kill()
            c.wait()
    assert p.stop() == 0 and not channel.exists()
    lines = [json.loads(line) for line in (tmp_path / "record").read_text().splitlines()]
    phases = {(x["pid"], x["phase"]["name"]): x["phase"] for x in lines if "phase" in x}
    assert phases[children[0].pid, "a"]["count"] == 2 and phases[children[1].pid, "b"] == second["b"]
    assert len(phases) == 4  # the last "open" replaced the first


def test_plugin_refuses_a_bad_channel(plugin):
    p = plugin("--sensors", "sim", "--phases", "/tmp/x", wait=False)
    assert p.process.wait(GIVE_UP_S) == 1
    p.wait_said("--phases: \"/tmp/x\" is no file in /dev/shm/")


# ---- what a review found -----------------------------------------------------------------------


def test_the_last_interval_of_a_slow_sensor(measured, tmp_path):
    """What is used after the last reading is in no counter, and within the bounds all the same."""
    slow = sim_script(tmp_path / "slow.json",
                      {"name": "gpu-0", "kind": "gpu", "curve": [[1, 100.0]], "unit": [1, 1],
                       "update_ms": 100})
    code = ("import time, powermeasure\n"
            "with powermeasure.phase('x'):\n"
            "    until = time.monotonic() + {}\n"
            "    while time.monotonic() < until: pass\n")
    for seconds in 0.08, 0.15, 0.05, 0.08, 0.15, 0.12, 0.08, 0.15:
        done, phases, report = measured("/usr/bin/python3", "-c", code.format(seconds), env=PYTHON,
                                        options=["--sensors", slow])
        x = phases["x"]
        whole = x["whole_energy_j"]["gpu"]
        truth = 100 * x["elapsed_s"]
        if whole is not None:
            assert whole["low_j"] <= truth <= whole["high_j"], (seconds, x)
        machine = report["machine_energy_j"]
        if machine is not None:
            assert machine["high_j"] >= 100 * report["elapsed_s"] * 0.99, (seconds, machine)


def test_a_limit_on_file_sizes_costs_the_phases_alone():
    done = subprocess.run(["/bin/sh", "-c", f"ulimit -f 1000; exec {POWERMEASURE} run --sensors sim -- "
                           "echo hello"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and done.stdout == "hello\n"
    assert "phases could not be marked" in done.stderr and "File too large" in done.stderr


def test_generators_of_both_kinds(measured):
    code = ("import asyncio, functools, time, powermeasure\n"
            "@powermeasure.phase('agen')\n"
            "async def agen():\n"
            "    for i in range(3):\n"
            "        await asyncio.sleep(0.02)\n"
            "        yield i\n"
            "async def main():\n"
            "    return [x async for x in agen()]\n"
            "assert asyncio.run(main()) == [0, 1, 2]\n"
            "assert powermeasure.phase(functools.partial(int, '7'))() == 7\n")
    done, phases, _ = measured("/usr/bin/python3", "-c", code, env=PYTHON)
    assert done.returncode == 0, done.stderr
    assert phases["agen"]["count"] == 1 and phases["agen"]["elapsed_s"] >= 0.06
    assert phases["partial"]["count"] == 1


# ---- the example ----------------------------------------------------------------------------------


def test_the_example(measured):
    """A real inference, where what it needs is installed."""
    python = os.environ.get("PM_EXAMPLE_PYTHON", "/usr/bin/python3")
    if subprocess.run([python, "-c", "import magika, onnxruntime"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("magika and onnxruntime are not installed (PM_EXAMPLE_PYTHON may name a Python that has it)")
    done, phases, report = measured(python, TOP / "examples" / "phases" / "infer.py", "--batches", "2",
                                    "--batch", "2", TOP / "src", env=PYTHON)
    assert done.returncode == 0 and done.stdout == "4 files: 4 c\n", done.stderr
    assert {name: p["count"] for name, p in phases.items()} == {
        "load": 1, "preprocess": 2, "infer": 2, "postprocess": 2}
    assert troubles(report) == {}


@pytest.mark.parametrize("flags", [["-DWIPE"], []])
def test_a_fork_on_an_old_kernel(flags, tmp_path, measured):
    """Where the kernel cannot empty a page for the child (before 4.14), it is noticed by its pid."""
    (tmp_path / "f.c").write_text("""
#include <sys/mman.h>
#ifndef WIPE
#undef MADV_WIPEONFORK
#endif
#include <powermeasure_phase.h>
#include <sys/wait.h>
int main(void)
{
	pm_phase_begin("p");
	if (fork() == 0) {
		pm_phase_begin("child");
		pm_phase_end("child");
		_exit(pm_phase_process_.self ? 1 : 0);
	}
	int status;
	wait(&status);
	pm_phase_end("p");
	return WEXITSTATUS(status);
}
""")
    subprocess.run(["gcc", "-std=gnu11", *flags, f"-I{TOP / 'include'}", "-o", str(tmp_path / "f"),
                    str(tmp_path / "f.c")], check=True)
    done, phases, report = measured(tmp_path / "f")
    assert done.returncode == len(flags)
    assert {name: p["count"] for name, p in phases.items()} == {"p": 1, "child": 1}
    assert troubles(report) == {}
