# SPDX-License-Identifier: MIT
"""`powermeasure doctor`: what is wrong, which command helps, what that would give."""

import grp
import json
import os
import shutil
import subprocess

import pytest

from boards import BOARDS, put
from conftest import GIVE_UP_S, NOBODY, run

INTEL = "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 142"


@pytest.fixture
def as_nobody(public):
    """Runs it without any right, which only root can do, on a machine below `public`."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")

    def run_it(root, *args, groups="--clear-groups", command="doctor"):
        return subprocess.run(
            ["setpriv", "--reuid", str(NOBODY), groups, "--bounding-set", "-all", "--inh-caps", "-all",
             public / "powermeasure", command, "--root", root, *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S)

    return run_it


def sensors_of(done):
    return {s["name"]: s for s in json.loads(done.stdout)["sensors"]}


def test_a_machine_that_measures(tmp_path):
    machine = put(tmp_path, BOARDS["jetson-agx-orin"])
    done = run("doctor", "--root", machine)
    assert done.returncode == 0 and done.stderr == ""
    assert "Something is measured here." in done.stdout
    assert run("doctor", "--root", machine, "--json").returncode == 0


def test_a_machine_with_nothing(tmp_path):
    done = run("doctor", "--root", put(tmp_path, BOARDS["nothing"]))
    assert done.returncode == 1
    assert "Nothing is measured here: the figures are estimates; see above" in done.stdout


def test_a_module_that_is_missing(tmp_path):
    machine = put(tmp_path, {"proc/cpuinfo": INTEL, "sys/class/powercap/x": ""})
    found = sensors_of(run("doctor", "--root", machine, "--json"))["rapl-powercap"]
    assert found["fix"] == "sudo modprobe intel_rapl_msr"
    assert found["module"] == "not loaded"
    assert found["would_give"].endswith("measured instead of ESTIMATED")
    put(tmp_path, {"sys/module/intel_rapl_msr/refcnt": 0})
    found = sensors_of(run("doctor", "--root", machine, "--json"))["rapl-powercap"]
    assert found["fix"] is None
    assert "though the driver intel_rapl_msr is loaded" in found["reason"]


def test_a_file_that_only_root_may_read(as_nobody, public):
    machine = put(public / "m", BOARDS["laptop-intel-unplugged"])
    for path in machine.rglob("energy_uj"):
        path.chmod(0o400)
    done = as_nobody(machine, "--json", "--sensors", "rapl-powercap")
    assert done.returncode == 1, done.stderr
    found = sensors_of(done)["rapl-powercap"]
    assert found["denied"][0] == {
        "path": "/sys/class/powercap/intel-rapl:0/energy_uj", "owner": "root", "group": "root",
        "mode": "0400", "group_would_do": False}
    assert found["fix"].startswith("sudo setcap cap_dac_read_search+ep /")
    assert json.loads(done.stdout)["user"]["uid"] == 65534
    text = as_nobody(machine, "--sensors", "rapl-powercap").stdout
    assert "may not be read: /sys/class/powercap/intel-rapl:0/energy_uj, of root:root, mode 0400: " \
           "no group would do" in text


def test_list_has_the_same_reasons_and_fixes(as_nobody, public):
    machine = put(public / "m", BOARDS["laptop-intel-unplugged"])
    for path in machine.rglob("energy_uj"):
        path.chmod(0o400)
    doctor = sensors_of(as_nobody(machine, "--json"))
    listed = sensors_of(as_nobody(machine, "--json", command="list"))
    assert listed["rapl-powercap"]["fix"].startswith("sudo setcap cap_dac_read_search+ep /")
    for key in ("usable", "used", "reason", "fix"):
        assert {name: s[key] for name, s in doctor.items()} == {
            name: listed[name][key] for name in doctor}, key


def test_a_group_that_would_do(as_nobody, public):
    machine = put(public / "m", BOARDS["raspberry-pi-5"])
    try:
        video = grp.getgrnam("video").gr_gid
        os.chown(machine / "dev/vcio", 0, video)
    except (KeyError, PermissionError):
        pytest.skip("needs root and a group video")
    (machine / "dev/vcio").chmod(0o660)
    done = as_nobody(machine, "--sensors", "rpi-pmic")
    assert "mode 0660: would do: group video" in done.stdout
    assert as_nobody(machine, "--sensors", "rpi-pmic", groups="--groups=video").returncode == 0
    if not json.loads(as_nobody(machine, "--json").stdout)["user"]["container"]:
        for command in "doctor", "list":
            assert "to change that: sudo usermod -aG video nobody" in as_nobody(
                machine, "--sensors", "rpi-pmic", command=command).stdout


def test_denied_on_another_machine(tmp_path):
    """A captured machine tells what its user might not read, and no more than that."""
    machine = put(tmp_path, BOARDS["laptop-intel-unplugged"])
    path = "/sys/class/powercap/intel-rapl:0/energy_uj"
    (machine / "capture.json").write_text(json.dumps(
        {"interval_s": 1.0, "readings": [{"time": "2026-11-22T10:00:00Z"}], "denied": [path]}))
    found = sensors_of(run("doctor", "--root", machine, "--json"))["rapl-powercap"]
    assert [d["path"] for d in found["denied"]] == [path]
    assert found["denied"][0]["owner"] is None


@pytest.mark.parametrize("args, reason", [(["x"], "unexpected argument: 'x'"), (["--sensors", "x"], "unknown sensor: 'x'"),
                                          (["--root", "/nonexistent"], "No such file")])
def test_wrong_usage(args, reason):
    done = run("doctor", *args)
    assert done.returncode in (1, 2) and reason in done.stderr
