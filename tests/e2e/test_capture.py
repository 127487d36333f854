# SPDX-License-Identifier: MIT
"""`powermeasure capture`: a copy shows the machine that it was made of, and nothing private."""

import json
import os
import re
import shutil
import subprocess

import pytest

from boards import BOARDS, put
from conftest import GIVE_UP_S, POWERMEASURE, run
from test_cli import Counter, shown_count

PACKAGE = "sys/class/powercap/intel-rapl:0/energy_uj"


def capture(directory, root, **options):
    return run("capture", "--root", root, directory, **options)


def said(directory):
    return json.loads((directory / "capture.json").read_text())


def without_powers(root, *args):
    """What is listed of a machine, without the figures of the moment and the machine's own name."""
    sensors = json.loads(run("list", "--json", "--root", root, *args).stdout)["sensors"]
    for sensor in sensors:
        for domain in sensor["domains"]:
            del domain["power_w"]
    return sensors


@pytest.mark.parametrize("name", ["laptop-amd-unplugged", "jetson-agx-orin", "raspberry-pi-5",
                                  "grace-hopper", "desktop-two-gpus", "jetson-agx-thor",
                                  "server-intel-gpus", "nothing"])
def test_the_copy_shows_the_same_machine(name, tmp_path):
    machine = put(tmp_path / "machine", BOARDS[name])
    done = capture(tmp_path / "copy", machine)
    assert done.returncode == 0 and done.stderr == ""
    assert without_powers(tmp_path / "copy") == without_powers(machine)


def powers(root, *args):
    done = run("list", "--json", "--root", root, *args)
    listed = json.loads(done.stdout)
    return {d["name"]: d["power_w"] for s in listed["sensors"] for d in s["domains"]}, listed


def test_powercap_moves_between_the_readings(tmp_path):
    machine = put(tmp_path / "machine", BOARDS["laptop-intel-unplugged"])
    counter = Counter(machine, {"intel-rapl:0": 20, "intel-rapl:0:0": 10})
    done = capture(tmp_path / "copy", machine)
    counter.stop()
    assert done.returncode == 0
    assert (tmp_path / "copy" / "later" / PACKAGE).exists()
    watts, listed = powers(tmp_path / "copy")
    assert watts["package-0"] > watts["package-0-core"] > 0
    assert watts["battery"] == pytest.approx(9.3)
    # To the microjoule what the files say, however long the looking takes.
    said_uj = [int((tmp_path / "copy" / part / PACKAGE).read_text()) for part in (".", "later")]
    interval_s = listed["captured"]["interval_s"]
    assert watts["package-0"] == pytest.approx((said_uj[1] - said_uj[0]) / 1e6 / interval_s, rel=1e-4)
    assert listed["captured"]["time"] == said(tmp_path / "copy")["readings"][0]["time"]
    text = run("list", "--root", tmp_path / "copy").stdout
    assert re.search(r"is a captured machine: what it drew in 1\.\d+ s at ", text)
    assert re.search(r"^ +package-0 .* W captured$", text, re.M)
    # Of a machine that is no copy nothing of the kind is said.
    assert powers(machine)[1]["captured"] is None


def pmu(events):
    base = "sys/bus/event_source/devices/power/"
    files = {base + "type": 21, base + "cpumask": 0, "sys/devices/system/cpu/online": 0,
             "sys/devices/system/cpu/cpu0/topology/physical_package_id": 0,
             "sys/devices/system/cpu/cpu0/topology/die_id": 0}
    for code, event in enumerate(events, 1):
        files.update({base + "events/" + event: f"event=0x{code:02x}",
                      base + f"events/{event}.unit": "Joules",
                      base + f"events/{event}.scale": "2.3283064365386962890625e-10",
                      base + f"counts/cpu0/{event}": 1})
    return files


def test_each_way_to_rapl_is_in_the_copy(tmp_path):
    """Also those that are not used beside the first."""
    files = {**BOARDS["laptop-intel-unplugged"], **pmu(["energy-pkg", "energy-ram"]),
             "dev/cpu/0/msr": "606 a0e03\n611 1234\n619 0"}
    machine = put(tmp_path / "machine", files)
    counter = Counter(machine, {"sys/bus/event_source/devices/power/counts/cpu0/energy-pkg": 30},
                      shown_count)
    done = capture(tmp_path / "copy", machine)
    counter.stop()
    assert done.returncode == 0
    assert (tmp_path / "copy/dev/cpu/0/msr").read_text() == "606 a0e03\n611 1234\n619 0\n"
    assert (tmp_path / "copy" / PACKAGE).exists()
    watts, listed = powers(tmp_path / "copy")
    assert [s["name"] for s in listed["sensors"] if s["used"]][0] == "rapl-perf"
    assert watts["package-0"] > 0


def test_a_counter_that_stood_still_is_seen_to(tmp_path):
    machine = put(tmp_path / "machine", {**BOARDS["laptop-intel-unplugged"], **pmu(["energy-pkg"])})
    assert capture(tmp_path / "copy", machine).returncode == 0
    sensors = {s["name"]: s for s in without_powers(tmp_path / "copy")}
    assert sensors["rapl-perf"]["reason"] == "its counters stand still"


def test_other_commands_say_that_it_stands_still(tmp_path):
    assert capture(tmp_path / "copy", put(tmp_path / "m", BOARDS["jetson-nano"])).returncode == 0
    done = run("run", "--root", tmp_path / "copy", "--", "true")
    assert "is a captured machine: its counters stand still" in done.stderr


# ---- what must not be in it ------------------------------------------------------------------------


def texts(directory):
    return "\n".join(str(path.relative_to(directory)) + "\n" + path.read_text(errors="replace")
                     for path in directory.rglob("*") if path.is_file())


def test_nothing_private_is_copied(tmp_path):
    secrets = ["10000000deadbeef", "SN-4711-SECRET", "00:1a:7d:da:71:13", "00-1A-7D-DA-71-14"]
    supply = "sys/class/power_supply/"
    machine = put(tmp_path / "machine", {
        **BOARDS["laptop-amd-unplugged"],
        "proc/cpuinfo": f"vendor_id : AuthenticAMD\ncpu family : 25\nmodel : 80\nSerial\t\t: {secrets[0]}",
        supply + "BAT1/serial_number": secrets[1],
        supply + f"hid-{secrets[2]}-battery/scope": "Device",
        supply + f"hid-{secrets[2]}-battery/type": "Battery",
        "sys/class/hwmon/hwmon7/name": f"pad_{secrets[3]}",
        "sys/class/hwmon/hwmon7/power1_input": 1000000,
        "sys/class/hwmon/hwmon7/device/uevent":
            f"DRIVER=pad\nHID_UNIQ={secrets[2]}\nPOWER_SUPPLY_SERIAL_NUMBER={secrets[1]}\n"
            "PCI_SLOT_NAME=0000:09:00.0"})
    done = capture(tmp_path / "copy", machine)
    assert done.returncode == 0
    found = texts(tmp_path / "copy")
    for secret in secrets:
        assert secret.lower() not in found.lower(), secret
    assert not re.search(rf"\b{re.escape(os.uname().nodename)}\b", found)
    uevent = tmp_path / "copy/sys/class/hwmon/hwmon7/device/uevent"
    assert uevent.read_text() == "DRIVER=pad\nPCI_SLOT_NAME=0000:09:00.0\n"
    assert (tmp_path / "copy/sys/class/power_supply/hid-00:00:00:00:00:00-battery/scope").exists()


# ---- when it goes wrong ----------------------------------------------------------------------------


def test_what_cannot_be_read_is_said(tmp_path):
    machine = put(tmp_path / "machine", BOARDS["laptop-intel-unplugged"])
    (machine / PACKAGE).unlink()
    (machine / PACKAGE).symlink_to("energy_uj")  # whoever opens it gets ELOOP
    done = capture(tmp_path / "copy", machine)
    assert done.returncode == 0 and "could not be read" in done.stdout
    notes = {note["path"]: note["reason"] for note in said(tmp_path / "copy")["left_out"]}
    assert notes == {"/" + PACKAGE: "Too many levels of symbolic links"}


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="needs setpriv")
def test_what_is_denied_is_denied_of_the_copy_too(public):
    machine = put(public / "machine", BOARDS["laptop-intel-unplugged"])
    for path in machine.rglob("energy_uj"):
        path.chmod(0)
    copy = public / "open" / "copy"
    copy.parent.mkdir()
    copy.parent.chmod(0o777)
    command = [] if os.geteuid() else ["setpriv", "--reuid", "65534", "--clear-groups",
                                       "--bounding-set", "-all", "--inh-caps", "-all"]
    done = subprocess.run([*command, public / "powermeasure", "capture", "--root", machine, copy],
                          capture_output=True, text=True, timeout=GIVE_UP_S)
    assert done.returncode == 0, done.stderr
    assert "/" + PACKAGE in said(copy)["denied"]
    sensors = {s["name"]: s for s in without_powers(copy, "--sensors", "rapl-powercap")}
    assert "Permission denied" in sensors["rapl-powercap"]["reason"]


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("x")
    done = capture(tmp_path / "copy", put(tmp_path / "machine", BOARDS["nothing"]))
    assert done.returncode == 1 and "is there and not empty" in done.stderr
    assert [p.name for p in (tmp_path / "copy").iterdir()] == ["mine"]


@pytest.mark.parametrize("where, reason", [("file/copy", "Not a directory"), ("file", "Not a dir"),
                                           ("missing/copy", "No such file or directory")])
def test_where_nothing_can_be_written(where, reason, tmp_path):
    (tmp_path / "file").write_text("x")
    done = capture(tmp_path / where, put(tmp_path / "machine", BOARDS["nothing"]))
    assert done.returncode == 1 and reason in done.stderr


def test_a_full_disk(tmp_path):
    machine = put(tmp_path / "machine", BOARDS["jetson-agx-orin"])
    full = tmp_path / "full"
    full.mkdir()
    script = ('mount -t tmpfs -o size=8k none "$1" || exit 77; "$2" capture --root "$3" "$1"; '
              'status=$?; ls -A "$1" >&2; exit $status')
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", full, POWERMEASURE, machine],
                          capture_output=True, text=True, timeout=GIVE_UP_S)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.returncode == 1
    assert done.stderr.endswith("No space left on device: nothing is left of the copy\n")


@pytest.mark.parametrize("args, reason", [([], "the directory to write into is missing"),
                                          (["a", "b"], "unexpected argument: 'b'"),
                                          (["--nonsense"], "unknown option: '--nonsense'"),
                                          (["--root", "/nonexistent", "a"], "No such file")])
def test_wrong_usage(args, reason, tmp_path):
    done = run("capture", *args, cwd=tmp_path)
    assert done.returncode in (1, 2) and reason in done.stderr


def test_a_broken_capture_is_a_tree_like_any_other(tmp_path):
    machine = put(tmp_path / "machine", BOARDS["jetson-nano"])
    for text in ("", "{", "[]", '{"interval_s": 1}', '{"interval_s": -1, "readings": [{"time": "x"}]}',
                 '{"interval_s": 1e300, "readings": [{"time": "x"}]}'):
        (machine / "capture.json").write_text(text)
        done = run("list", "--json", "--root", machine)
        assert json.loads(done.stdout)["captured"] is None
