# SPDX-License-Identifier: MIT
"""What `powermeasure list` says of each machine in boards.py, compared with tests/golden/NAME.txt.
After a change that is meant, PM_UPDATE_GOLDEN=1 writes the files anew: look at the difference."""

import difflib
import os
import re

import pytest

from boards import BOARDS, put
from conftest import TOP, run

GOLDEN = TOP / "tests" / "golden"
SENSORS = ["jetson", "hwmon", "rpi-pmic", "battery"]


def listed(root, *args):
    return run("list", "--root", root, "--sensors", ",".join(["rapl-powercap"] + SENSORS), *args)


def of_these_sensors(text):
    """Without what is said of other sensors and of the log directory. RAPL is there for what it
    makes of the others."""
    result, keep = [], False
    for line in text.splitlines():
        if line and not line.startswith(" "):
            keep = line.split()[0] in SENSORS or line.startswith("Nothing ")
        if keep and line:
            result.append(line + "\n")
    # Names of this program's own file are another everywhere.
    return re.sub(r"(setcap \S+ )\S+", r"\1powermeasure", "".join(result))


@pytest.mark.parametrize("name", BOARDS)
def test_list(name, tmp_path):
    done = listed(put(tmp_path, BOARDS[name]))
    assert done.stderr == ""
    found = of_these_sensors(done.stdout)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("PM_UPDATE_GOLDEN"):
        path.write_text(found)
    expected = path.read_text() if path.exists() else ""
    if found != expected:
        pytest.fail(f"{name} is not listed as in {path}:\n" + "".join(difflib.unified_diff(
            expected.splitlines(True), found.splitlines(True), "expected", "found")), pytrace=False)


def test_each_golden_file_has_its_machine():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(BOARDS)
