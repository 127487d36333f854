# SPDX-License-Identifier: MIT
"""The lab itself, where something is wrong: no machine is booted here."""

import pytest

import kernels
import lab
from initramfs import Initramfs


def test_the_last_lines_of_a_machine_that_hangs_are_shown():
    with pytest.raises(lab.Died, match="stopped after 1 s(?s:.*)the last words"):
        lab.watch(["sh", "-c", "echo the last words; exec sleep 1000"], 1)


def test_what_a_failing_command_said_is_shown():
    with pytest.raises(RuntimeError, match="the module(?s:.*)energy.c:1: error"):
        kernels.call(["sh", "-c", "echo energy.c:1: error; exit 2"], "the module")


def test_a_missing_tool_is_named_with_its_package():
    with pytest.raises(kernels.Unavailable, match="no-such-tool(?s:.*)apt-get install some-package"):
        Initramfs().tool("no-such-tool", "some-package")
    with pytest.raises(kernels.Unavailable, match="no-such-tool is not installed"):
        kernels.call(["no-such-tool"], "the tool")


def test_a_package_that_the_archive_lacks_is_named():
    with pytest.raises(kernels.Unavailable, match="linux-kbuild is not in the package archive"):
        kernels.first(["linux-image-6.1.0-1-amd64"], r"linux-kbuild-.*", "linux-kbuild")


def test_energy_between_two_times_is_that_of_the_curve():
    curve = lab.Curve("package-0 1000000000 0 20000\npackage-0 3000000000 40000000000 100\n")
    assert curve.between_j("package-0", 1000000000, 2000000000) == pytest.approx(20)
    assert curve.between_j("package-0", 2500000000, 4000000000) == pytest.approx(10.1)
