# SPDX-License-Identifier: MIT
"""The library as its users have it: installed, found by pkg-config, and built against outside of
the tree."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, GIVE_UP_S, TOP, build_option

HEADER = TOP / "include" / "powermeasure.h"
MAP = TOP / "src" / "lib" / "libpowermeasure.map"


def project_version():
    text = subprocess.run(["meson", "introspect", "--projectinfo", str(BUILD)], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return json.loads(text)["version"]


# One number: 0 as long as the project's version is 0.x.
MAJOR = project_version().partition(".")[0]
SONAME = f"libpowermeasure.so.{MAJOR}"
NODE = f"POWERMEASURE_{MAJOR}"


def output(*command, **keywords):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=GIVE_UP_S, **keywords)
    assert done.returncode == 0, f"{command}:\n{done.stdout}"
    return done.stdout


class Installed:
    """The library in a directory of its own, with programs that are built against it there."""

    def __init__(self, directory):
        self.directory = directory
        self.root = directory / "root"
        output("meson", "install", "-C", BUILD, "--no-rebuild",
               env={**os.environ, "DESTDIR": str(self.root)})
        self.prefix = pathlib.Path(f"{self.root}{build_option('prefix')}")
        self.libraries = self.prefix / build_option("libdir")
        self.library = self.libraries / SONAME

    def pkg_config(self, *args):
        env = dict(os.environ, PKG_CONFIG_PATH=str(self.libraries / "pkgconfig"),
                   PKG_CONFIG_SYSROOT_DIR=str(self.root))
        return output("pkg-config", *args, "powermeasure", env=env).split()

    def build(self, source, name):
        """Builds a program and returns its path."""
        program = self.directory / name
        copy = self.directory / f"{name}.c"
        copy.write_text(source)
        output("cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-o", program, copy,
               *self.pkg_config("--cflags", "--libs"), cwd=self.directory)
        return program

    def run(self, program, *args):
        return subprocess.run([str(program), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S,
                              env={"LD_LIBRARY_PATH": str(self.libraries)})


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    for tool in "meson", "cc", "pkg-config":
        if not shutil.which(tool):
            pytest.skip(f"no {tool} to install the library or to build a program with")
    if build_option("b_sanitize") != "none":
        pytest.skip("a library with a sanitizer in it serves programs with one only")
    return Installed(tmp_path_factory.mktemp("installed"))


def test_the_example(installed):
    program = installed.build((TOP / "examples" / "window.c").read_text(), "window")
    done = installed.run(program, "sim")
    assert (done.returncode, done.stderr) == (0, "")
    windows = re.findall(r"^(first half|all): ([\d.]+) s$", done.stdout, re.M)
    assert [name for name, _ in windows] == ["first half", "all"]
    assert float(windows[1][1]) >= float(windows[0][1]) + 0.1
    for line in re.findall(r"machine  DRAM +([\d.]+) J  \(([\d.]+) to ([\d.]+)\) +([\d.]+) W",
                           done.stdout):
        joules, low, high, watts = (float(x) for x in line)
        assert low <= joules <= high and joules > 0
        assert watts == pytest.approx(5, rel=0.02)
    assert "process  CPU time" in done.stdout
    assert 'as it should be: no window "all" is open' in done.stdout
    # With threads, and with nothing to measure but by the model.
    for args in ("--polling", "sim,sim-polled"), ("--polling",), ("estimate",):
        done = installed.run(program, *args)
        assert (done.returncode, done.stderr) == (0, ""), args
    done = installed.run(program, "nonsense")
    assert (done.returncode, done.stderr) == (
        1, "sensors: unknown sensor: 'nonsense'; `powermeasure list` shows them all\n")


def test_the_program_in_the_docs(installed):
    text = (TOP / "docs" / "library.md").read_text()
    program = installed.build(re.search(r"```c\n(.*?)```", text, re.S).group(1), "work")
    done = installed.run(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"([\d.]+ J in [\d.]+ s\n)?", done.stdout)


SILENT = """
#include <dirent.h>
#include <powermeasure.h>
#include <stdio.h>
#include <unistd.h>

static int count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(tasks)))
		n += entry->d_name[0] != '.';
	closedir(tasks);
	return n;
}

int main(int argc, char **argv)
{
	struct pm_options options = PM_OPTIONS_INIT;
	struct pm_result *result;
	struct pm *pm;
	int before = count_threads(), during, who;

	if (argc > 1)
		options.sensors = argv[1];
	pm_open(&pm, argc > 2 ? NULL : &options);
	pm_begin_window(pm, "a");
	pm_begin_window(pm, "a");
	pm_end_window(pm, "b", &result);
	pm_add_process(pm, getppid(), &who);
	usleep(50000);
	if (pm_end_window(pm, "a", &result) == 0)
		pm_result_free(result);
	if (pm_read(pm, &result) == 0)
		pm_result_free(result);
	during = count_threads();
	pm_begin_window(pm, "never ended");
	pm_close(pm);
	fprintf(stderr, "%d %d %d", before, during, count_threads());
	return 7;
}
"""


@pytest.mark.parametrize("args", [("sim",), ("sim,sim-polled",), (), ("", "all")])
def test_it_says_nothing_and_makes_no_thread(installed, args):
    program = installed.build("#define _DEFAULT_SOURCE\n" + SILENT, "silent")
    done = installed.run(program, *args)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "1 1 1")


def exported():
    """The names that the version script lets out."""
    return set(re.findall(r"^\t(pm_\w+);$", MAP.read_text(), re.M))


def test_only_its_own_names_are_out(installed):
    names = {line.split()[-1] for line in
             output("nm", "-D", "--defined-only", installed.library).splitlines()}
    assert names == {NODE} | {f"{name}@@{NODE}" for name in exported()}


def test_the_header_and_the_version_script_agree():
    declared = set(re.findall(r"^PM_API [^;]*?\b(pm_\w+)\(", HEADER.read_text(), re.M))
    assert declared == exported()


def test_what_is_installed(installed):
    assert (installed.prefix / "include" / "powermeasure.h").read_text() == HEADER.read_text()
    schemas = installed.prefix / build_option("datadir") / "powermeasure"
    for schema in (TOP / "docs").glob("*.schema.json"):
        assert (schemas / schema.name).read_text() == schema.read_text()
    assert f"[{SONAME}]" in output("readelf", "-d", installed.library)
    assert installed.pkg_config("--modversion") == [project_version()]
    # Whoever links it needs nothing else: libraries that it uses are its own affair.
    assert [flag for flag in installed.pkg_config("--libs") if flag.startswith("-l")] \
        == ["-lpowermeasure"]


def test_a_cxx_program(installed):
    if not shutil.which("c++"):
        pytest.skip("no C++ compiler")
    source = installed.directory / "plus.cc"
    source.write_text("#include <powermeasure.h>\nint main() { struct pm *pm; "
                      "return pm_open(&pm, nullptr) || (pm_close(pm), 0); }\n")
    program = installed.directory / "plus"
    output("c++", "-Wall", "-Wextra", "-Werror", "-o", program, source,
           *installed.pkg_config("--cflags", "--libs"))
    assert installed.run(program).returncode == 0
