# SPDX-License-Identifier: MIT
"""What tests on a simulated RAPL compare figures with (tests/lib/raplscenes.py)."""

import pytest

from raplfs import RaplFs, require, skip_module
from raplscenes import (COMMANDS, FAULTS, ONLY_RAPL, Figure, Scene, Truth, run_command,
                        stat_machine)

skip_module()

PACKAGE = {"name": "package-0", "curve": [[0.3, 20], [0.1, 60]], "parts": [
    {"name": "dram", "curve": [[1, 4]]}]}


@pytest.mark.parametrize("shown,wrong", [
    ((10, 9.9, 10.1), False), ((9, 8, 9.79), True), ((11, 10.21, 12), True),
    ((11, 10.19, 12), False), ((9, 8, None), False), ((11, None, 10.21), False),
    ((11, 10.21, None), True), ((None, None, None), False)])
def test_a_figure_is_wrong_where_its_bounds_lie_beside_the_truth(shown, wrong):
    assert Figure("", shown, (9.8, 10.2)).is_wrong() == wrong


def test_the_truths_range_is_over_all_times_that_a_figure_can_be_of():
    require()
    with RaplFs({"name": "package-0", "curve": [[1, 10], [1, 30]]}) as fs:
        # One second that begins in the first half of a slow second: 5 J of 20 W more at the end.
        low, high = Truth(fs).range_j(["package-0"], 10 ** 12, 10 ** 12 + 5 * 10 ** 8, 10 ** 9)
    assert (low, high) == (pytest.approx(10, abs=1e-4), pytest.approx(20, abs=1e-4))


def test_each_domain_of_a_command_is_compared():
    require()
    with RaplFs(PACKAGE) as fs:
        document, figures = run_command(fs, 0.3, options=ONLY_RAPL)
        assert {f.what for f in figures} == \
            {"run package-0", "run package-0-dram", "run machine"}
        _, figures = stat_machine(fs, 1, 100, ONLY_RAPL)
        assert {f.what for f in figures if "row" not in f.what} == \
            {"stat package-0", "stat package-0-dram", "stat machine"}
        assert sum("package-0 row" in f.what for f in figures) >= 5
    assert document["elapsed_s"] >= 0.3


def test_a_seed_draws_the_same_scene():
    assert Scene(7).repeat() == Scene(7).repeat() != Scene(8).repeat()
    assert Scene(7, fault="none").script["faults"] == []
    for fault in FAULTS:
        assert bool(Scene(7, fault=fault).script["faults"]) == (fault != "none")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_scene_is_measured(command):
    require()
    scene = Scene(7, command=command, fault="none", curve="steady", update_ms=1.0, seconds=0.5)
    figures = scene.measure()
    assert figures and all(f.true_j > 0 for f in figures), scene.repeat()
