# SPDX-License-Identifier: MIT
"""What tests on a simulated RAPL compare figures with (tests/lib/raplscenes.py)."""

import json
import subprocess
import sys

import pytest

from conftest import BUILD, GIVE_UP_S, TOP
from gpuscenes import GPU_KINDS, GpuScene
from raplfs import RaplFs, require, skip_module
from raplscenes import (COMMANDS, FAULTS, ONLY_RAPL, Figure, LoadScene, RaplTruth, Scene,
                        run_command, run_load, stat_machine)

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
        low, high = RaplTruth(fs).range_j(["package-0"], 10 ** 12, 10 ** 12 + 5 * 10 ** 8, 10 ** 9)
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


def test_a_loads_energy_is_compared():
    require()
    package = {"name": "package-0", "loads": {"idle_w": 2},
               "parts": [{"name": "core", "loads": "dynamic"}]}
    with RaplFs(package) as fs:
        document, figures = run_load(fs, 12.5, 0.3, 0.2, ONLY_RAPL)
    command = figures[-1]
    used_s = document["command_cpu_s"]
    assert command.what == "run command"
    # Its start by a shell is in it, a part of the simulator's time is not.
    assert 12.5 * 0.2 * 0.95 <= command.true_low_j <= 12.5 * used_s * 1.05
    assert command.true_high_j - command.true_low_j == \
        pytest.approx(2 * document["elapsed_s"], rel=0.1)


@pytest.mark.parametrize("command", LoadScene.COMMANDS)
def test_a_process_among_loads_is_measured(command):
    require()
    scene = LoadScene(7, command=command, watts=20, busy=0.5, other_watts=5, seconds=1.0)
    assert scene.repeat() == LoadScene(7, command=command, watts=20, busy=0.5, other_watts=5,
                                       seconds=1.0).repeat()
    for figure in scene.measure():
        assert 0 < figure.true_low_j < figure.true_high_j, scene.repeat()


@pytest.mark.parametrize("layout", GPU_KINDS)
def test_a_gpus_scene_is_measured(layout):
    scene = GpuScene(7, layout=layout, fault="none", curve="steady", update_ms=20, seconds=0.5)
    assert scene.repeat() == GpuScene(7, layout=layout, fault="none", curve="steady", update_ms=20,
                                      seconds=0.5).repeat()
    figures = scene.measure()
    assert {f.what for f in figures} == {"run gpu-0", "run machine"}, scene.repeat()
    assert all(f.true_j > 0 for f in figures), scene.repeat()


def test_the_table_has_each_figure_in_it(tmp_path):
    require()
    page = tmp_path / "page.md"
    begin, end = (f"<!-- made by bench/accuracy.py: {word} -->\n" for word in ("begin", "end"))
    page.write_text(f"before\n{begin}old\n{end}after\n")
    done = subprocess.run(
        [sys.executable, str(TOP / "bench" / "accuracy.py"), "--build", str(BUILD), "--scenes", "10",
         "--seed", "3", "--json", str(tmp_path / "figures.json"), "--update", str(page)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=3 * GIVE_UP_S)
    assert done.returncode in (0, 1), done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert f"{len(figures)} intervals in 10 measurements" in done.stdout
    rows = [line for line in done.stdout.partition("**By fault**")[0].splitlines()
            if line.startswith(("| RAPL", "| GPU", "| a process"))]
    assert sum(int(row.split("|")[2]) for row in rows) == \
        sum("small jump on" not in f["scene"] for f in figures), done.stdout
    assert page.read_text() == f"before\n{begin}\n{done.stdout}{end}after\n"
