# SPDX-License-Identifier: MIT
"""scripts/setup.sh, from which ./run and ./test get their packages, on systems that are not this one."""

import os
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent

DPKG_QUERY = """
for last; do :; done
grep -qx "$last" "$SYSTEM/installed" && echo "install ok installed"
"""

APT_CACHE = """
grep -qx "$2" "$SYSTEM/known" && echo "  Candidate: 1.0" || echo "  Candidate: (none)"
"""

APT_GET = """
echo "$@" >>"$SYSTEM/asked"
"""


class System:
    """A system whose package tools are made up: what is installed, what can be had, and who asks."""

    def __init__(self, directory, installed=(), known=(), user=0, debian=True):
        self.path = directory
        for name in "sh", "grep", "tr", "cat", "env":
            (directory / name).symlink_to(shutil.which(name))
        (directory / "installed").write_text("".join(f"{x}\n" for x in installed))
        (directory / "known").write_text("".join(f"{x}\n" for x in known))
        self._program("id", f"echo {user}")
        if debian:
            self._program("dpkg-query", DPKG_QUERY)
            self._program("apt-cache", APT_CACHE)
            self._program("apt-get", APT_GET)

    def _program(self, name, text):
        path = self.path / name
        path.write_text(f"#!{self.path}/sh\n{text}")
        path.chmod(0o755)

    def need(self, *packages):
        done = subprocess.run(
            [str(self.path / "sh"), "-euc", '. "$TOP/scripts/setup.sh"; need_packages "$@"', "sh",
             *packages], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": str(self.path), "TOP": str(TOP), "SYSTEM": str(self.path)})
        return done.returncode, done.stdout

    def asked(self):
        path = self.path / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def system(tmp_path):
    return lambda **keywords: System(tmp_path, **keywords)


def test_what_is_installed_is_not_asked_for(system):
    one = system(installed=["new-name", "other"])
    assert one.need("old-name|new-name", "other") == (0, "")
    assert one.asked() == []


def test_a_package_is_installed_by_the_name_that_it_has_here(system):
    one = system(known=["new-name", "other"])
    status, said = one.need("old-name|new-name", "other")
    assert status == 0, said
    assert one.asked() == ["update -q",
                           "install -y -q --no-install-recommends new-name other"]


def test_a_system_that_is_too_old(system):
    one = system(known=["gcc"])
    status, said = one.need("gcc", "libthing-dev|thing-dev")
    assert status == 1 and "does not know these packages here: libthing-dev\n" in said
    assert "Meson 0.53" in said and "What works on older systems" in said
    assert one.asked() == ["update -q"]


def test_without_rights_it_says_what_to_type(system):
    status, said = system(known=["new-name"], user=1000).need("old-name|new-name")
    assert status == 1
    assert "apt-get install --no-install-recommends new-name" in said


def test_not_a_debian_system(system):
    status, said = system(debian=False).need("gcc")
    assert status == 1 and "not a Debian system" in said
    for package in "gcc", "meson", "flatbuffers-compiler", "libzmq3-dev":
        assert package in said.split("\n")[1].split(), said


def test_not_a_debian_system_but_all_is_there(system, tmp_path):
    one = system(debian=False)
    for name in "cc", "c++", "meson", "ninja", "pkg-config", "flatc":
        (tmp_path / name).symlink_to(os.path.realpath(shutil.which("true")))
    assert one.need("gcc") == (0, "")
