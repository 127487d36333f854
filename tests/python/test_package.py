# SPDX-License-Identifier: MIT
"""The Python package as a package: old interpreters, the wheel, other clients' names."""

import ast
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import flatbuffers
import pytest
import zmq

from conftest import GIVE_UP_S, TOP

PACKAGE = TOP / "python"
SOURCES = sorted((PACKAGE / "powermeasure").rglob("*.py"))

README_SNIPPET = """
from ctevents.ctevents import send_power_measure_fb_event
import os

pids = [os.getpid(), ]
monitor_type = [0, ]
monitor_duration = 10
send_power_measure_fb_event(socket, pids, monitor_type, monitor_duration)
"""


def python(code, path, *options, program=sys.executable):
    return subprocess.run([str(program), *options, "-c", code], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=GIVE_UP_S,
                          env=dict(os.environ, PYTHONPATH=str(path)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_python_3_8_reads_it(path):
    ast.parse(path.read_text(), str(path), feature_version=(3, 8))


def test_the_version_is_the_program_s():
    version = re.search(r'__version__ = "(.*)"', (PACKAGE / "powermeasure/__init__.py").read_text())
    assert f"version: '{version.group(1)}'" in (TOP / "meson.build").read_text()
    library = (PACKAGE / "powermeasure/_library.py").read_text()
    assert f'"libpowermeasure.so.{version.group(1).partition(".")[0]}"' in library


def test_flags_are_the_library_s():
    """Each flag of enum pm_flag has its name and its bit in the package, and none is there besides."""
    header = (TOP / "include/powermeasure.h").read_text()
    theirs = {name: 1 << int(bit) for name, bit in re.findall(r"PM_(\w+) = 1 << (\d+),", header)}
    tree = ast.parse((PACKAGE / "powermeasure/_library.py").read_text())
    ours = {node.targets[0].id: 1 << node.value.right.value for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp)
            and isinstance(node.value.op, ast.LShift)}
    assert len(theirs) >= 8
    assert ours == theirs
    # What a user of the package gets of each of them.
    monitor = (PACKAGE / "powermeasure/_monitor.py").read_text()
    for name in set(theirs) - {"MEASURED"}:
        assert f"_library.{name}" in monitor, name
    for name in theirs:
        for page in ("docs/library.md", "docs/man/libpowermeasure.3.scd"):
            assert f"PM_{name}" in (TOP / page).read_text(), f"{page}: PM_{name}"


def test_the_other_client_s_names(plugin):
    p = plugin("--sensors", "sim")
    done = python("import powermeasure.compat\n"
                  "powermeasure.compat.provide_ctevents()\n"
                  f"socket = __import__('powermeasure').connect({p.address!r}, 10)\n"
                  + README_SNIPPET, PACKAGE)
    assert done.returncode == 0, done.stdout
    p.wait_said("measuring begins")


def test_an_unchanged_program(plugin):
    p = plugin("--sensors", "sim")
    done = python("import zmq\n"
                  "socket = zmq.Context().socket(zmq.REQ)\n"
                  f"socket.connect({p.address!r})\n" + README_SNIPPET,
                  f"{PACKAGE}:{PACKAGE / 'powermeasure/compat'}")
    assert done.returncode == 0, done.stdout
    p.wait_said("measuring begins")


def test_a_real_ctevents_is_not_hidden(tmp_path):
    (tmp_path / "ctevents").mkdir()
    (tmp_path / "ctevents/__init__.py").write_text("")
    (tmp_path / "ctevents/ctevents.py").write_text("who = 'the real one'")
    # Its place on the path is after ours: what counts is that ours is looked for last of all.
    done = python("import powermeasure.compat\n"
                  "powermeasure.compat.provide_ctevents()\n"
                  "import ctevents.ctevents\n"
                  "print(ctevents.ctevents.who)", f"{PACKAGE}:{tmp_path}")
    assert done.stdout == "the real one\n"


def test_no_top_level_name_but_its_own():
    assert [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()] \
        == ["powermeasure"]


def test_the_wheel_in_a_fresh_environment(plugin, tmp_path):
    for module in "setuptools", "wheel", "pip", "venv":
        if not importlib.util.find_spec(module):
            pytest.skip(f"no Python module {module} to build or install a wheel with")
    # A copy: the build backend leaves its own files beside the sources.
    source = shutil.copytree(PACKAGE, tmp_path / "source", ignore=shutil.ignore_patterns(
        "__pycache__", "build", "*.egg-info", "dist"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = subprocess.run([*pip, "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation",
                            "--wheel-dir", str(tmp_path), str(source)], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=GIVE_UP_S)
    assert built.returncode == 0, built.stdout
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")

    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True,
                   timeout=GIVE_UP_S)
    inside = environment / "bin/python"
    installed = subprocess.run([*pip, "--python", str(inside), "install", "-q", "--no-index",
                                "--no-deps", str(wheel)], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=GIVE_UP_S)
    assert installed.returncode == 0, installed.stdout

    # What it depends on is ours: there may be no network to fetch it by.
    needed = os.pathsep.join(str(pathlib.Path(module.__file__).parent.parent)
                             for module in (zmq, flatbuffers))
    p = plugin("--sensors", "sim")
    done = python("import os, powermeasure\n"
                  "assert powermeasure.__file__.startswith(os.sys.prefix), powermeasure.__file__\n"
                  f"with powermeasure.connect({p.address!r}, timeout=10) as socket:\n"
                  "    print(powermeasure.send_power_measure_fb_event(\n"
                  "        socket, [os.getpid()], [0], 1))\n"
                  "import powermeasure.compat\n"
                  "powermeasure.compat.provide_ctevents()\n"
                  "import ctevents.ctevents\n", needed, program=inside)
    assert (done.returncode, done.stdout) == (0, "event-engine: msg published\n")
