#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks what no compiler does: that each file has its licence, that a room includes only rooms
before it, and that no folder is a flat sack."""

import collections
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

# The rooms of src/ in their order, and which of those before them each may include. "util" is open to
# all, and so is the clock: every difference of times is taken by it.
ROOMS = {
    "util": (),
    "machine": (),
    "meter": ("machine",),
    "sensors": ("machine", "meter"),
    "target": ("meter",),
    "books": ("meter", "target"),
    "phases": ("meter", "target", "books"),
    "session": ("meter", "target", "books", "phases"),
    "events": ("machine", "meter/domain.h", "session/request.h"),
    "sinks": ("machine", "meter/power.h", "session", "phases"),
    "lib": ("meter", "books"),
    "daemon": ("machine", "meter", "target", "books", "phases", "session", "events/source.h", "sinks/regular.h",
               "sinks/sink.h"),
    "cli": ("machine", "meter", "target", "books", "phases", "session", "events", "sinks", "daemon"),
}
EVERYBODY = ("util", "machine/clock.h", "machine/host.h")

# What is too long for one file is several, with one name in front: that of session/session.h and its
# parts is "session". The parts' headers are for the files of that name alone.
FAMILIES = {
    "books": ("account",),
    "phases": ("phases", "phase_channel"),
    "session": ("session",),
    "sensors": ("nvml", "rapl_powercap"),
    "sinks": ("jsonfile", "camera_traps"),
}

# How many files of C a folder may hold directly. What is in cli/ itself concerns several commands.
MOST_FILES = collections.defaultdict(lambda: 40, {"src/cli": 16})

# What others must know of a sensor is a member of its sensor_ops or its domains: a name in quotes would
# decide by what it is called. These literals hold one for a reason.
NAMES_ITSELF = (
    "sim and sim:FILE simulate",  # the help of --sensors: how the program is tried without hardware
)
# An English word as well: only a literal that is nothing else is the sensor.
ENGLISH = ("estimate",)

NEEDS_LICENCE = (".c", ".h", ".cc", ".py", ".sh", ".build", ".fbs", ".rs", ".toml", ".scd", ".md",
                 ".yml", ".json5", ".map")


def files():
    out = subprocess.run(["git", "-C", TOP, "ls-files"], check=True, stdout=subprocess.PIPE,
                         universal_newlines=True).stdout
    return [TOP / line for line in out.splitlines() if (TOP / line).is_file()]


def check_licence(path):
    is_script = path.suffix == "" and path.read_bytes()[:2] == b"#!"
    if path.suffix not in NEEDS_LICENCE and not is_script:
        return
    head = path.read_text(errors="replace").splitlines()[:6]
    if not any("SPDX-License-Identifier: MIT" in line for line in head):
        yield "no SPDX-License-Identifier in its first lines"


def check_order():
    """The table itself: an arrow up in it would make every check below worthless."""
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        for name in allowed:
            if order.index(name.partition("/")[0]) >= order.index(room):
                yield f"{room} comes before {name} and must not include it"


def family(room, name):
    """Of a file: "session" for session.c and session_start.c; None for most."""
    stem = name.partition(".")[0]
    return next((f for f in FAMILIES.get(room, ()) if stem == f or stem.startswith(f + "_")), None)


def may_include(path, header):
    """path and header are relative to src/."""
    room, to = path.parts[0], header.parts[0]
    part_of = family(to, header.name)
    if part_of and header.name != part_of + ".h":
        return room == to and family(room, path.name) == part_of
    if to == "cli" and len(header.parts) == 3 and room != "cli":
        return False
    allowed = (room,) + ROOMS[room] + EVERYBODY
    return to in allowed or str(header) in allowed


def check_includes(path):
    relative = path.relative_to(TOP / "src")
    if relative.parts[0] not in ROOMS:
        yield f"src/{relative.parts[0]} is not a room; the rooms are listed in scripts/check_source.py"
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'#include "([\w./]+)"', line)
        if not found or "/" not in found[1]:
            continue
        header = pathlib.PurePath(found[1])
        if header.parts[0] not in ROOMS or not may_include(relative, header):
            yield f"line {number}: {relative} must not include {header}"


def sensor_names():
    """As the backends' tables have them."""
    found = set()
    for path in (TOP / "src" / "sensors").rglob("*.c"):
        found.update(re.findall(r'^\t\.name = "([\w-]+)",$', path.read_text(), re.M))
    assert found, "no sensor has a name"
    return found


def check_sensor_names(path, names):
    if (TOP / "src" / "sensors") in path.parents:
        return
    words = "|".join(sorted(names - set(ENGLISH), key=len, reverse=True))
    word = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])")
    code = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), path.read_text(), flags=re.S)
    for number, line in enumerate(code.splitlines(), 1):
        if line.startswith("#include"):
            continue
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', line):
            if literal in names or (word.search(literal) and not any(n in literal for n in NAMES_ITSELF)):
                yield f"line {number}: a sensor is known by its name: \"{literal}\""


def check_folders(paths):
    held = collections.Counter(str(path.parent.relative_to(TOP)) for path in paths
                               if path.suffix in (".c", ".h", ".cc"))
    for folder, n in sorted(held.items()):
        if n > MOST_FILES[folder]:
            yield f"{folder}: {n} files, at most {MOST_FILES[folder]}"


def check_text(path):
    if path.suffix not in NEEDS_LICENCE:
        return
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if line != line.rstrip():
            yield f"line {number}: blanks at its end"


def main():
    complaints = [*check_order(), *check_folders(files())]
    names = sensor_names()
    for path in files():
        checks = [check_licence(path), check_text(path)]
        if path.suffix in (".c", ".h", ".cc") and (TOP / "src") in path.parents:
            checks += [check_includes(path), check_sensor_names(path, names)]
        complaints += [f"{path.relative_to(TOP)}: {text}" for check in checks for text in check]
    for complaint in complaints:
        print(complaint)
    print(f"{len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
