# SPDX-License-Identifier: MIT
"""The program and the library are built with what makes a fault harder to exploit; read from their ELF
files, not from the build's options."""

import platform
import re
import subprocess

import pytest

from conftest import BUILD, POWERMEASURE, build_option

LIBRARY = BUILD / "src" / "lib" / "libpowermeasure.so"
FILES = [POWERMEASURE, LIBRARY]

# What a function that may be called through a pointer begins with, where the compiler was told to.
LANDING_PADS = {"x86_64": b"\xf3\x0f\x1e\xfa", "aarch64": b"\x3f\x23\x03\xd5"}


@pytest.fixture(autouse=True)
def hardened_build():
    if build_option("b_sanitize") not in ("none", []):
        pytest.skip("sanitizers are built without hardening")


def readelf(*args):
    return subprocess.run(["readelf", "-W", *map(str, args)], check=True, stdout=subprocess.PIPE,
                          universal_newlines=True).stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_addresses_are_not_fixed(path):
    assert re.search(r"Type:\s+DYN", readelf("-h", path)), readelf("-h", path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_relocations_are_done_and_then_read_only(path):
    assert "GNU_RELRO" in readelf("-l", path)
    assert re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", readelf("-d", path)), readelf("-d", path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_stack_is_not_executable(path):
    stack = re.search(r"GNU_STACK.*", readelf("-l", path))
    assert stack and re.search(r" RW +0x", stack[0]), readelf("-l", path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_overflows_of_the_stack_are_noticed(path):
    assert "__stack_chk_fail" in readelf("--dyn-syms", path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_overflows_of_buffers_are_noticed(path):
    if build_option("optimization") == "0":
        pytest.skip("FORTIFY needs a compiler that optimises")
    checked = re.findall(r"__(\w+)_chk\b", readelf("--dyn-syms", path))
    assert "snprintf" in checked and "vsnprintf" in checked, checked


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_jumps_end_where_functions_begin(path):
    pad = LANDING_PADS.get(platform.machine())
    if pad is None:
        pytest.skip(f"no such protection on {platform.machine()}")
    # Far more than what comes with the C library's start files.
    assert path.read_bytes().count(pad) > 100
