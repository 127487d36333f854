# SPDX-License-Identifier: MIT
"""Kinds of faults of a counter, each on a simulated RAPL, with what is right: a figure's bounds hold the
truth, and who decides by it or reads it learns what is missing."""

import json
import re

import pytest

from conftest import GIVE_UP_S, POWERMEASURE, run
from gpuscenes import GpuScene
from raplfs import RaplFs, require, skip_module
from raplscenes import ONLY_RAPL, STAMPED, listed_watts, run_command, stat_machine

skip_module()

ZONE = "intel-rapl:0"
STEADY = {"name": "package-0", "curve": [[1, 38.0]], "start": 2 ** 30}
DRAM = {"name": "dram", "curve": [[1, 4.0]], "esu": 16, "start": 2 ** 30}
OTHER = dict(STEADY, name="package-1")


@pytest.fixture
def machine():
    require()
    opened = []

    def make(*zones, **script):
        opened.append(RaplFs(*zones, **script))
        return opened[-1]

    yield make
    for fs in opened:
        fs.close()


def assert_right(fs, figures):
    wrong = [str(f) for f in figures if f.is_wrong()]
    assert not wrong, f"{json.dumps(fs.script)}\n{json.dumps(fs.status()['faults'])}\n" + \
        "\n".join(wrong)


def whole(figures, name):
    """The figure of all of a measurement for a domain."""
    return next(f for f in figures if f.what in (f"run {name}", f"stat {name}"))


def text_of(fs, seconds, *options):
    """The report that people read."""
    return fs.run(POWERMEASURE, "run", *ONLY_RAPL, *options, "--", STAMPED, seconds,
                  timeout=GIVE_UP_S)


# ---- a hole is not a zero ------------------------------------------------------------------------

LOST = {"a zone vanishes": ("vanish", {}),
        "reads fail": ("eio", {}),
        "the counter stands still": ("stuck", {}),
        "the counter starts again": ("jump", {"to": 0}),
        "the counter goes back": ("jump", {"by": -500}),
        "the counter jumps on": ("jump", {"by": 50000})}


@pytest.fixture(params=LOST, ids=lambda name: name.replace(" ", "-"))
def lost(request):
    """What loses energy from the middle of a run on: (kind, values)."""
    return LOST[request.param]


def test_lost_energy_is_in_the_bounds(machine, lost):
    fs = machine(STEADY)
    fs.fault(lost[0], ZONE, at=1.0, **lost[1])
    _, figures = run_command(fs, 2, options=ONLY_RAPL)
    assert_right(fs, figures)


def test_lost_energy_of_one_package_is_in_the_machines_bounds(machine, lost):
    fs = machine(STEADY, OTHER)
    fs.fault(lost[0], "intel-rapl:1", at=1.0, **lost[1])
    _, figures = run_command(fs, 2, options=ONLY_RAPL)
    assert any(f.what == "run machine" for f in figures)
    assert_right(fs, figures)


def test_lost_energy_is_said_in_the_text(machine, lost):
    fs = machine(STEADY)
    fs.fault(lost[0], ZONE, at=1.0, **lost[1])
    said = text_of(fs, 2).stderr
    assert "at least" in said, said


@pytest.mark.parametrize("limit", [1, 12, 30, 60])
def test_a_limit_is_decided_by_the_bounds(machine, tmp_path, lost, limit):
    """Above the limit for sure: 3; below it for sure: the command's status; else it is not known: 4."""
    fs = machine(STEADY)
    fs.fault(lost[0], ZONE, at=0.8, **lost[1])
    path = tmp_path / "run.json"
    done = fs.run(POWERMEASURE, "run", *ONLY_RAPL, "--max-joules", limit, "--json", "-o", path, "--",
                  STAMPED, 1.6, 1.2, timeout=GIVE_UP_S)
    command = json.loads(path.read_text())["command_energy_range_j"]["cpu"]
    low, high = command and command["low_j"], command and command["high_j"]
    if low is not None and low > limit:
        assert done.returncode == 3, (done.stderr, command)
    elif high is not None and high < limit:
        assert done.returncode == 0, (done.stderr, command)
    else:
        assert done.returncode == 4, (done.stderr, command)


def test_nothing_is_lost_while_the_counter_counts_on(machine):
    for kind in ("vanish", "eio", "stuck"):
        fs = machine(STEADY)
        fs.fault(kind, ZONE, at=1.0, lasts=0.4)
        _, figures = run_command(fs, 2.5, options=ONLY_RAPL)
        assert_right(fs, figures)
        package = whole(figures, "package-0")
        assert package.energy_j == pytest.approx(package.true_j, rel=0.01), kind


def test_a_glitch_of_one_read_costs_nothing(machine):
    for by in (-20000, 20000):
        fs = machine(STEADY)
        fs.fault("jump", ZONE, at=1.0, reads=1, by=by)
        _, figures = run_command(fs, 2.5, options=ONLY_RAPL)
        assert_right(fs, figures)


def test_compare_is_not_fooled_by_a_reset_in_every_run(machine, tmp_path):
    """The second command does half as much again and its counter starts again each time."""
    documents = []
    for seconds, resets in ((0.8, False), (1.2, True)):
        fs = machine(STEADY)
        if resets:
            for i in range(8):
                fs.fault("jump", ZONE, at=0.6 + i * 0.9, to=0)
        path = tmp_path / f"{seconds}.json"
        done = fs.run(POWERMEASURE, "run", *ONLY_RAPL, "-r", 4, "--json", "-o", path, "--", STAMPED,
                      seconds, seconds * 0.9, timeout=GIVE_UP_S)
        assert done.returncode == 0, done.stderr
        documents.append(path)
    done = run("compare", *documents)
    assert not re.search(r"better|less", done.stdout), done.stdout


# ---- a gap's energy ------------------------------------------------------------------------------


def test_a_gap_is_in_a_row_of_its_length_and_alike_in_all_kinds(machine):
    fs = machine(dict(STEADY, parts=[DRAM]))
    fs.fault("vanish", at=1.2, lasts=1.5)
    document, figures = stat_machine(fs, 5, 500, ONLY_RAPL)
    assert_right(fs, figures)
    for row in document["intervals"]:
        watts = {kind: row["power_w"][kind] and row["power_w"][kind]["mean"]
                 for kind in ("cpu", "dram")}
        assert (watts["cpu"] is None) == (watts["dram"] is None), document["intervals"]
        if watts["cpu"] is not None:
            assert watts["cpu"] == pytest.approx(38, rel=0.15), document["intervals"]
            assert watts["dram"] == pytest.approx(4, rel=0.15), document["intervals"]
    spanned = sum(row["interval_s"] for row in document["intervals"] if row["power_w"]["cpu"])
    assert spanned == pytest.approx(document["elapsed_s"], rel=0.05), document["intervals"]


# ---- a counter that stands still -----------------------------------------------------------------


def test_memory_whose_counter_never_moves_is_not_0(machine):
    fs = machine(dict(STEADY, parts=[DRAM]))
    fs.fault("stuck", "intel-rapl:0:0")
    _, figures = run_command(fs, 2, options=ONLY_RAPL)
    assert_right(fs, figures)


# ---- no update period is assumed -----------------------------------------------------------------


@pytest.mark.parametrize("update_ms", [10.0, 100.0, 1000.0])
def test_the_bounds_know_the_update_period(machine, update_ms):
    for seed in range(4):
        fs = machine(STEADY, update_ms=update_ms, seed=seed)
        _, figures = run_command(fs, 1.3, options=ONLY_RAPL)
        assert_right(fs, figures)


@pytest.mark.parametrize("update_ms", [10.0, 100.0, 1000.0])
def test_the_rows_bounds_know_the_update_period(machine, update_ms):
    fs = machine(STEADY, update_ms=update_ms)
    _, figures = stat_machine(fs, 3.2, 100, ONLY_RAPL)
    assert_right(fs, figures)


@pytest.mark.parametrize("update_ms", [1.0, 100.0, 1000.0])
def test_list_shows_what_a_slow_counter_draws(machine, update_ms):
    fs = machine(STEADY, update_ms=update_ms)
    watts = listed_watts(fs)["package-0"]
    assert watts is None or watts == pytest.approx(38, rel=0.25)


# ---- bursts and peaks ----------------------------------------------------------------------------


def test_bursts_between_readings_are_in_the_bounds(machine):
    for seed in range(4):
        fs = machine(dict(STEADY, curve=[[0.019, 30.0], [0.001, 205.0]]), seed=seed)
        _, figures = stat_machine(fs, 1.5, 20, ONLY_RAPL)
        assert_right(fs, figures)
        _, figures = run_command(fs, 0.02 + 0.013 * seed, options=ONLY_RAPL)
        assert_right(fs, figures)


@pytest.mark.parametrize("kind,values", [("slow", {"ms": 60, "reads": 3}),
                                         ("slow", {"ms": 60, "reads": 3, "value": "early"}),
                                         ("slow", {"ms": 60, "reads": 3, "value": "late"}),
                                         ("eio", {"lasts": 0.7})])
def test_what_is_wrong_with_a_read_is_not_a_peak(machine, kind, values):
    fs = machine(STEADY)
    fs.fault(kind, ZONE, at=1.0, **values)
    document, figures = stat_machine(fs, 2.5, 100, ONLY_RAPL)
    assert_right(fs, figures)
    peak = document["power_w"]["cpu"]["peak"]
    assert peak is None or peak <= 38 * 1.1, document["power_w"]


# ---- one thing, two scopes -----------------------------------------------------------------------


def test_one_register_in_two_zones_is_counted_once(machine):
    fs = machine(STEADY, {"name": "package-1", "mirror": ZONE})
    document, _ = run_command(fs, 1.5, options=ONLY_RAPL)
    machine_j, length_s = document["machine_energy_j"], document["elapsed_s"]
    assert machine_j["low_j"] <= 38 * length_s * 1.001, document["machine_energy_j"]
    assert machine_j["energy_j"] == pytest.approx(38 * length_s, rel=0.02)


# ---- sampled GPU power ---------------------------------------------------------------------------


def test_a_gpu_counter_of_a_second_gives_a_figure_for_three():
    scene = GpuScene(1, layout="counter", curve="steady", update_ms=1000, fault="none", seconds=3.0)
    figures = scene.measure()
    assert figures and all(f.energy_j is not None for f in figures), scene.repeat()
    assert not any(f.is_wrong() for f in figures), figures
    assert figures[0].energy_j == pytest.approx(figures[0].true_j, rel=0.1)
