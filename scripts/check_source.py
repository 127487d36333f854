#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks what no compiler does: that each file has its licence, and that the source files include
only what docs/design.md allows them to."""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

# Which rooms a room may include. A dict names single headers of a room.
EVERYBODY = {"util": None, "core": {"clock.h"}}
ALLOWED = {
    "util": {"util": None},
    "core": {"util": None, "core": None, "attribution": None, "sensors": {"sensor.h"},
             "events": {"source.h"}, "sinks": {"sink.h"}},
    "attribution": {"util": None, "core": {"meter.h"}, "attribution": None},
    "sensors": {"util": None, "core": {"host.h", "meter.h", "clock.h"},
                "sensors": {"sensor.h", "rapl.h", "rapl_pmu.h", "rapl_unit.h", "msr_file.h",
                            "perf_group.h", "hwmon.h"}},
    "sinks": {"util": None,
              "core": {"host.h", "meter.h", "record.h", "clock.h", "phase_report.h"},
              "sinks": {"camera_traps_sums.h", "device_logs.h", "sink.h"}},
    "events": {"util": None, "core": {"host.h", "meter.h", "clock.h"},
               "events": {"source.h", "bus.h", "codec.h", "event.h", "link.h"}},
    "daemon": {"util": None, "core": None, "daemon": None, "sensors": {"sensor.h"},
               "events": {"source.h"}, "sinks": {"sink.h"}, "attribution": None},
    "lib": {"util": None, "core": None, "lib": None, "sensors": {"sensor.h"}},
    "cli": {"util": None, "core": None, "daemon": None, "cli": None,
            "events": {"bus.h", "codec.h", "event.h", "source.h"}, "sinks": {"sink.h"}},
}

# What is too long for one file is several, with one name in front: that of session/session.h and its
# parts is "session". The parts' headers are for the files of that name alone.
FAMILIES = {
    "core": ("account", "phases", "session"),
    "sensors": ("nvml", "rapl_powercap"),
    "util": ("jsonfile",),
}

NEEDS_LICENCE = (".c", ".h", ".cc", ".py", ".sh", ".build", ".fbs", ".rs", ".toml", ".scd", ".md",
                 ".yml", ".json5", ".map")


def files():
    out = subprocess.run(["git", "-C", TOP, "ls-files"], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    return [TOP / line for line in out.splitlines() if (TOP / line).is_file()]


def check_licence(path):
    is_script = path.suffix == "" and path.read_bytes()[:2] == b"#!"
    if path.suffix not in NEEDS_LICENCE and not is_script:
        return
    head = path.read_text(errors="replace").splitlines()[:6]
    if not any("SPDX-License-Identifier: MIT" in line for line in head):
        yield "no SPDX-License-Identifier in its first lines"


def family(room, name):
    """Of a file: "session" for session.c and session_start.c; None for most."""
    stem = name.partition(".")[0]
    return next((f for f in FAMILIES.get(room, ()) if stem == f or stem.startswith(f + "_")), None)


def may_include(path, to, header):
    room = path.parts[0]
    part_of = family(to, header)
    if part_of and header != part_of + ".h":
        return room == to and family(room, path.name) == part_of
    allowed = ALLOWED[room].get(to, ())
    return allowed is None or header in allowed


def check_includes(path):
    relative = path.relative_to(TOP / "src")
    room = relative.parts[0]
    if room not in ALLOWED:
        yield f"{room} is no room of docs/design.md"
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'#include "(?:(\w+)/)?([\w.]+)"', line)
        if not found or found[2].endswith("_generated.h"):
            continue
        to, header = found.groups()
        if not may_include(relative, to, header):
            yield f"line {number}: {relative} must not include {to}/{header}"


def check_text(path):
    if path.suffix not in NEEDS_LICENCE:
        return
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if line != line.rstrip():
            yield f"line {number}: blanks at its end"


def main():
    complaints = 0
    for path in files():
        checks = [check_licence(path), check_text(path)]
        if path.suffix in (".c", ".h", ".cc") and (TOP / "src") in path.parents:
            checks.append(check_includes(path))
        for check in checks:
            for complaint in check:
                print(f"{path.relative_to(TOP)}: {complaint}")
                complaints += 1
    print(f"{complaints} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
