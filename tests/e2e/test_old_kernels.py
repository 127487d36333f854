# SPDX-License-Identifier: MIT
"""Kernels from 4.9 on: each call that came later is refused, in the ways that old kernels and
containers' filters have, and all of them together. Everything works; what is less exact says so."""

import json
import os
import shlex
import subprocess

import pytest

from conftest import BUILD, GIVE_UP_S, POWERMEASURE, start_event, wait_for

OLDKERNEL = BUILD / "tests" / "fake" / "oldkernel"
BURN = BUILD / "tests" / "fake" / "burn"
PHASER = BUILD / "tests" / "fake" / "phaser"
SIM = ["--sensors", "sim"]

# The C library itself takes no other answer than ENOSYS to clone3 and faccessat2.
REFUSALS = [
    *[(f"{call}={error}",) for call in ("openat2", "pidfd_open", "perf_event_open")
      for error in ("ENOSYS", "EINVAL", "EPERM")],
    ("clone3=ENOSYS",), ("faccessat2=ENOSYS",), ("perf_event_open=EACCES",), ("wipeonfork=EINVAL",),
    ("new=ENOSYS",),
    ("new=ENOSYS", "perf_event_open=ENOSYS"),
]


@pytest.fixture(params=REFUSALS, ids=lambda words: " ".join(words))
def kernel(request):
    """What to put before a command so that it runs on an older kernel."""
    words = [str(OLDKERNEL), *request.param, "--"]
    done = subprocess.run([*words, "true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode == 77:
        pytest.skip("system calls cannot be filtered here")
    assert done.returncode == 0, done.stderr
    return words


def powermeasure(kernel, *args):
    done = subprocess.run([*kernel, str(POWERMEASURE), *[str(a) for a in args]], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=GIVE_UP_S)
    return done.returncode, done.stdout, done.stderr


def test_the_launcher_refuses(kernel):
    """Else all that follows would prove nothing."""
    call, error = kernel[1].split("=")
    numbers = {"openat2": 437, "pidfd_open": 434, "clone3": 435, "faccessat2": 439, "new": 437}
    if call not in numbers:
        pytest.skip("its number is the machine's own")
    script = ("import ctypes, errno; libc = ctypes.CDLL(None, use_errno=True); "
              f"print(libc.syscall({numbers[call]}, -1, 0, 0, 0), "
              "errno.errorcode[ctypes.get_errno()])")
    done = subprocess.run([*kernel, "/usr/bin/python3", "-c", script], stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == ["-1", error]


def test_a_command_with_children(kernel):
    """All its CPU time, of children that have ended, too; and its exit status."""
    # A shell that forks for each, waits, and whose children are gone when it ends.
    script = f"{shlex.quote(str(BURN))} 150; {shlex.quote(str(BURN))} 150; exit 5"
    status, _, told = powermeasure(kernel, "run", *SIM, "--json", "--", "sh", "-c", script)
    report = json.loads(told)
    assert status == 5 and report["exit_status"] == 5
    # Each burns 150 ms; what starting costs depends on the machine.
    assert 0.29 < report["command_cpu_s"] < 0.45, report["warnings"]
    figure = report["command_energy_range_j"]["cpu"]
    assert figure["low_j"] <= figure["energy_j"] <= figure["high_j"] and figure["energy_j"] > 0


def test_its_phases(kernel):
    """A process that forks must not mark in its parent's name, also without MADV_WIPEONFORK."""
    status, _, told = powermeasure(kernel, "run", *SIM, "--json", "--", PHASER, "+a", "-a", "fork",
                                   "+a", "burn=20", "-a")
    report = json.loads(told)
    phase, = report["phases"]
    assert status == 0 and phase["name"] == "a" and phase["count"] == 3, phase
    assert not any(report["phase_markers"].values()), report["phase_markers"]


def test_a_process_that_ends(kernel, load):
    """Seen at once by its pidfd, or else at the next reading."""
    one = load(0.5)
    process = subprocess.Popen([*kernel, str(POWERMEASURE), "stat", *SIM, "--tree", "--json", "-o", "-",
                                "-p", str(one.pid), "-I", "200"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: one.cpu_s() > 0.5)
    one.end()
    told, _ = process.communicate(timeout=GIVE_UP_S)
    report = json.loads(told)
    target, = report["targets"]
    assert process.returncode == 0 and target["energy_j"]["cpu"] > 0
    # Without perf events short-lived children can be missed: the report says so.
    refused = any("perf_event_open" in word for word in kernel)
    assert any("counted from /proc" in x for x in report["warnings"]) == refused, report["warnings"]


def test_the_plugin(kernel, plugin, load, tmp_path):
    wrapper = tmp_path / "powermeasure"
    words = " ".join(shlex.quote(word) for word in [*kernel, str(POWERMEASURE)])
    wrapper.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    wrapper.chmod(0o755)
    p = plugin(*SIM, program=wrapper)
    stays, goes = load(0.3), load(0.3)
    assert b"published" in p.send(start_event([stays.pid, goes.pid], [1], 0))
    p.wait_said(rf"pid {goes.pid} .*begins")
    wait_for(lambda: goes.cpu_s() > 0.2)
    goes.end()
    p.wait_said(rf"pid {goes.pid} .* J .*; the process ended")
    assert p.stop() == 0
    assert f"pid {stays.pid} " in p.said and os.path.getsize(p.log_dir / "CPU.json") > 0


def test_a_copy_of_a_machine(kernel, tmp_path):
    """Its absolute links lead into the copy and not to this machine."""
    zone = tmp_path / "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in [("name", "package-0"), ("energy_uj", "123456"),
                       ("max_energy_range_uj", "262143328850")]:
        (zone / name).write_text(text + "\n")
    (tmp_path / "sys/class/powercap").mkdir(parents=True)
    for name in "intel-rapl", "intel-rapl:0":
        (tmp_path / "sys/class/powercap" / name).symlink_to(
            f"/sys/devices/virtual/powercap/{'' if name == 'intel-rapl' else 'intel-rapl/'}{name}")
    status, told, why = powermeasure(kernel, "list", "--json", "--root", tmp_path)
    assert "package-0" in told, (status, told, why)
