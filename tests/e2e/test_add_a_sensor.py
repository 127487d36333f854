# SPDX-License-Identifier: MIT
"""The example of docs/add-a-sensor.md is code: it compiles without a warning, and measures."""

import re
import subprocess

from conftest import BUILD, GIVE_UP_S, TOP, build_option

# What calls it, as the rig does.
MAIN = r"""
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "meter/sensor.h"

extern const struct sensor_ops sensor_mine;

int main(int argc, char **argv)
{
	static struct host host;
	static struct sensor s;
	struct reading r[SENSOR_MAX_DOMAINS];

	if (argc < 2 || host_init(&host, argv[1], &clock_system) < 0)
		return 3;
	s = (struct sensor) { .ops = &sensor_mine, .host = &host, .kinds = KIND_ALL };
	if (sensor_mine.probe(&s) < 0 || sensor_mine.open(&s) < 0) {
		printf("%s (%s)\n", s.why.reason, s.why.fix);
		sensor_mine.close(&s);
		host_finish(&host);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		sensor_mine.read(&s, r);
		printf("%s %d %" PRIu64 "\n", s.domains[0].name, r[0].error, r[0].error ? 0 : r[0].raw);
	}
	s.kinds = KIND_BIT(KIND_CPU);
	sensor_mine.read(&s, r);
	printf("%d\n", r[0].error == -EAGAIN);
	sensor_mine.close(&s);
	host_finish(&host);
	return 0;
}
"""

ROOMS = ("sensors", "meter", "machine", "util")


def output(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=GIVE_UP_S)
    assert done.returncode == 0, f"{command}:\n{done.stdout}"
    return done.stdout


def build(directory):
    text = (TOP / "docs" / "add-a-sensor.md").read_text()
    (directory / "mine.c").write_text(re.search(r"```c\n(.*?)```", text, re.S)[1])
    (directory / "main.c").write_text(MAIN)
    sanitize = build_option("b_sanitize")
    flags = [] if sanitize in ("none", []) else [
        "-fsanitize=" + (sanitize if isinstance(sanitize, str) else ",".join(sanitize))]
    output("cc", "-std=c17", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O1", "-Wall", "-Wextra", "-Wconversion",
           "-Wshadow", "-Wmissing-prototypes", "-Werror", *flags, "-I", TOP / "src", "-o", directory / "mine",
           directory / "mine.c", directory / "main.c",
           *[BUILD / "src" / room / f"libpm-{room}.a" for room in ROOMS], "-ljansson", "-lpthread", "-ldl", "-lm")
    return directory / "mine"


def test_the_example_measures(tmp_path):
    program = build(tmp_path)
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    assert output(program, root) == "/sys/class/mine is not there: the driver is not loaded (sudo modprobe mine)\n"
    mine = root / "sys" / "class" / "mine"
    mine.mkdir(parents=True)
    assert output(program, root) == "cannot open '/sys/class/mine/energy': No such file or directory ()\n"
    (mine / "energy").write_text("123456\n")
    assert output(program, root) == "board 0 123456\nboard 0 123456\n1\n"
    for wrong in "-1\n", "99999999999999999999\n", "many\n", "":
        (mine / "energy").write_text(wrong)
        assert re.fullmatch(r"(board -\d+ 0\n){2}1\n", output(program, root)), repr(wrong)
