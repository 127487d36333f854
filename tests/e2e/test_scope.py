# SPDX-License-Identifier: MIT
"""CPUs and idle time are counted in the scope that a sensor measures, the machine, and not in the one
that a container's files show."""

import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import POWERMEASURE, run, sim_script

CONSTANT_W = 40

IN_CONTAINER = """
mount --bind "$1/stat" /proc/stat && mount --bind "$1/online" /sys/devices/system/cpu/online || exit 99
shift
exec "$@"
"""

BURN = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"


def in_container(directory, *command):
    """Runs a command that sees one CPU of the machine, as lxcfs shows a container its own."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("mounting takes root and unshare")
    with open("/proc/stat") as file:
        rest = file.read().partition("intr")[2]
    (directory / "stat").write_text("cpu  1000 0 1000 500000 0 0 0 0 0 0\n"
                                    "cpu0 1000 0 1000 500000 0 0 0 0 0 0\nintr" + rest)
    (directory / "online").write_text("0\n")
    done = subprocess.run(["unshare", "-m", "sh", "-c", IN_CONTAINER, "sh", str(directory),
                           *[str(word) for word in command]],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                          timeout=60)
    if done.returncode == 99:
        pytest.skip("no right to mount here")
    return done


def test_a_containers_cpus_are_not_the_machines(tmp_path):
    """The command's share is of the whole machine, and what idled is not known."""
    sensors = sim_script(tmp_path / "sim.json", {"name": "package-0", "kind": "cpu",
                                                 "curve": [[1.0, CONSTANT_W]]})
    document = tmp_path / "run.json"
    done = in_container(tmp_path, POWERMEASURE, "run", "--sensors", sensors, "--json", "-o",
                        document, "--", "/usr/bin/python3", "-c", BURN)
    assert done.returncode == 0, done.stderr
    measured = json.loads(document.read_text())
    n_cpu = os.sysconf("SC_NPROCESSORS_ONLN")
    energy_j = measured["command_energy_j"]["cpu"]
    share = energy_j / (CONSTANT_W / n_cpu * measured["command_cpu_s"])
    assert share == pytest.approx(1, rel=0.05), measured
    assert measured["idle_energy_j"]["cpu"] is None
    warning, = [w for w in measured["warnings"] if "/proc/stat" in w]
    assert f"shows 1 of the machine's {n_cpu} CPUs" in warning


@pytest.mark.parametrize("command", ["stat -a -d 1", "top --once -d 0.5 --json", "top --once -d 0.5"])
def test_each_command_says_that_it_sees_a_container(tmp_path, command):
    sensors = sim_script(tmp_path / "sim.json", {"name": "package-0", "kind": "cpu",
                                                 "curve": [[1.0, CONSTANT_W]]})
    done = in_container(tmp_path, POWERMEASURE, *command.split(), "--sensors", sensors)
    assert done.returncode == 0, done.stderr
    text = done.stdout + done.stderr
    assert "a container's view" in text
    assert "% busy" not in text


def test_another_machines_tree_is_said(tmp_path):
    """Energy of a tree is not this machine's CPU time: the document says that both are mixed."""
    zone = tmp_path / "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("energy_uj", "1000000"),
                       ("max_energy_range_uj", "262143328850")):
        (zone / name).write_text(text + "\n")
    online = tmp_path / "sys/devices/system/cpu/online"
    online.parent.mkdir(parents=True)
    online.write_text("0-1022\n")
    done = run("run", "--root", tmp_path, "--json", "--", "true")
    text = done.stdout + done.stderr
    document = json.loads(text[text.index("{"):])
    assert [w for w in document["warnings"] if re.search("CPU time and processes are this", w)]
