# SPDX-License-Identifier: MIT
"""Measures a simulated RAPL (raplfs) with the program's commands and holds each energy they show
against what was really used.

A figure's time is known from outside only within some milliseconds: a command is within the time that
`run` measures. So the truth is a range, from the least to the most that was used in any time which the
figure can be of; only a figure whose bounds lie wholly beside that range is wrong.
"""

import contextlib
import json
import math
import os
import pathlib
import random
import re
import shlex
import subprocess
import tempfile
import time

from conftest import (BUILD, GIVE_UP_S, POWERMEASURE, PUBLISHED, TOP, Plugin, sim_energy_j,
                      start_event, wait_for)
from raplfs import RaplFs

STAMPED = BUILD / "sim" / "stamped"
RAPL_LOAD = TOP / "sim" / "rapl-load"

# An estimate of the memory of the machine that runs the tests is no business of theirs.
ONLY_RAPL = ("--sensors", "rapl-powercap")

# Figures are printed with six decimals.
ROUNDING_J = 2e-6
ROUNDING_NS = 1000


class NoFigure(Exception):
    """The program refused to measure, and said so: no figure is not a wrong one."""


class Figure:
    """An energy that a command showed: what it is of, its bounds, and the truth's range."""

    def __init__(self, what, shown, true):
        self.what = what
        self.energy_j, self.low_j, self.high_j = shown
        self.true_low_j, self.true_high_j = true
        self.true_j = (self.true_low_j + self.true_high_j) / 2
        self.interval_j = None  # the 95 % interval, where there is one
        self.partial = False  # it says that energy is missing in it

    def is_wrong(self):
        """Whether its hard bounds exclude the truth. A bound that is null excludes nothing."""
        if self.energy_j is None:
            return False
        low = -1e300 if self.low_j is None else self.low_j - ROUNDING_J
        high = 1e300 if self.high_j is None else self.high_j + ROUNDING_J
        return low > self.true_high_j or high < self.true_low_j

    def __str__(self):
        def show(v):
            return "null" if v is None else f"{v:.6f}"
        return (f"{self.what}: {show(self.energy_j)} J ({show(self.low_j)} to {show(self.high_j)}), "
                f"true {self.true_low_j:.6f} to {self.true_high_j:.6f}"
                + (" WRONG" if self.is_wrong() else ""))


# ---- truth ---------------------------------------------------------------------------------------


class Truth:
    """What was used, by the names that the program gives its domains."""

    def has(self, domain):
        raise NotImplementedError

    def at_j(self, domain, t_ns):
        """What it used up to a time, from any other on."""
        raise NotImplementedError

    def between_j(self, domains, from_ns, to_ns):
        return sum(self.at_j(d, to_ns) - self.at_j(d, from_ns) for d in domains)

    def range_j(self, domains, first_ns, last_ns, length_ns, steps=24):
        """The least and the most that was used in length_ns which begin between the two times; None
        where the simulation does not know one of the domains."""
        if not all(self.has(d) for d in domains):
            return None
        first_ns, last_ns = first_ns - ROUNDING_NS, max(first_ns, last_ns) + ROUNDING_NS
        begins = {first_ns + (last_ns - first_ns) * i // steps for i in range(steps + 1)}
        return tuple(choose(self.between_j(domains, b, b + length_ns + more) for b in begins)
                     for choose, more in ((min, -ROUNDING_NS), (max, ROUNDING_NS)))


class RaplTruth(Truth):
    """Of a machine's zones."""

    def __init__(self, fs):
        self._fs = fs
        self._known = {}
        self._zones = {}
        zones = fs.truth(fs.mounted_ns)["zones"]
        for zone, state in zones.items():
            name = state["name"]
            if zone.count(":") == 2:
                name = f"{zones[zone.rpartition(':')[0]]['name']}-{name}"
            self._zones.setdefault(name, zone)

    def has(self, domain):
        return domain in self._zones

    def _truth(self, t_ns):
        t_ns = int(t_ns)
        if t_ns not in self._known:
            self._known[t_ns] = self._fs.truth(t_ns)
        return self._known[t_ns]

    def at_j(self, domain, t_ns):
        return self._truth(t_ns)["zones"][self._zones[domain]]["pj"] / 1e12

    def load_j(self, mw, t_ns):
        """What the load of so many milliwatts used; 0 before it was known."""
        return sum(load["pj"] for load in self._truth(t_ns)["loads"] if load["mw"] == mw) / 1e12


class CurveTruth(Truth):
    """Of domains whose curves are known: {name: [[seconds, watts], ...]}."""

    def __init__(self, curves):
        self._curves = curves

    def has(self, domain):
        return domain in self._curves

    def at_j(self, domain, t_ns):
        return sim_energy_j(self._curves[domain], int(t_ns))


# ---- commands ------------------------------------------------------------------------------------


def _shown(energy):
    """(energy, low, high) of a document's object."""
    return energy["energy_j"], energy["low_j"], energy["high_j"]


def _extras(figure, energy):
    """What later documents say besides."""
    if energy.get("low_95_j") is not None:
        figure.interval_j = energy["low_95_j"], energy["high_95_j"]
    figure.partial = bool(energy.get("partial"))
    return figure


def _domain_figures(where, document, true_of):
    """Of a document's domains and of the machine's sum; true_of(domains) -> range."""
    for domain in document["domains"]:
        if true_of([domain["name"]]):
            yield _extras(Figure(f"{where} {domain['name']}", _shown(domain),
                                 true_of([domain["name"]])), domain)
    machine = document["machine_energy_j"]
    if machine and machine["energy_j"] is not None and true_of(machine["domains"]):
        yield _extras(Figure(f"{where} machine", _shown(machine), true_of(machine["domains"])),
                      machine)


def _document_of(path, done):
    """What a command wrote. Raises NoFigure where it refused instead, with a reason."""
    text = path.read_text() if path.exists() else ""
    if not text and done.returncode > 0 and done.stderr:
        raise NoFigure(done.stderr)
    assert text, f"status {done.returncode}: {done.stderr}"
    return json.loads(text)


def measured_command(run, truth_of, command, options=()):
    """`run --json` of a command that prints its begin and its end. run runs a program, truth_of()
    gives the truth afterwards. Returns (document, figures, (first, last) begin, length)."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "run.json")
        done = run(POWERMEASURE, "run", *options, "--json", "-o", path, "--", *command,
                   timeout=GIVE_UP_S)
        ended_ns = time.monotonic_ns()
        document = _document_of(path, done)
    stamps = [int(line) for line in done.stdout.split()]
    assert len(stamps) == 2, f"{done.stdout!r} {done.stderr}"
    truth, length_ns = truth_of(), round(document["elapsed_s"] * 1e9)
    first_ns, last_ns = stamps[1] - length_ns, min(stamps[0], ended_ns - length_ns - ROUNDING_NS)

    def true_of(domains):
        return truth.range_j(domains, first_ns, last_ns, length_ns)

    figures = list(_domain_figures("run", document, true_of))
    return document, figures, (first_ns, last_ns), length_ns


def run_command(fs, seconds, cpu_s=0, options=()):
    """`run --json` of a command of so many seconds. Returns (document, figures)."""
    return measured_command(fs.run, lambda: RaplTruth(fs), (STAMPED, seconds, cpu_s), options)[:2]


def run_load(fs, watts, seconds, cpu_s, options=()):
    """The same of a load of a machine with one package; with a figure of the command's energy: what
    it used itself, and at most all that the package used by itself besides."""
    command = (RAPL_LOAD, watts, STAMPED, seconds, cpu_s)
    document, figures, (first_ns, last_ns), length_ns = measured_command(
        fs.run, lambda: RaplTruth(fs), command, options)
    truth = RaplTruth(fs)
    own_j = truth.load_j(round(watts * 1000), last_ns + length_ns)
    idle_j = truth.range_j(["package-0"], first_ns, last_ns, length_ns)[1] - \
        truth.range_j(["package-0-core"], first_ns, last_ns, length_ns)[0]
    figures.append(Figure("run command", _shown(document["command_energy_range_j"]["cpu"]),
                          (own_j, own_j + idle_j)))
    return document, figures


def _rows(record):
    """The record's lines by domain and time: {(domain, from_ns, to_ns): [line, ...]}."""
    rows = {}
    for text in record.read_text().splitlines():
        line = json.loads(text)
        if "domain" in line and line["domain"]:
            key = (line["domain"], line["t_ns"] - line["interval_ns"], line["t_ns"])
            rows.setdefault(key, []).append(line)
    return rows


def row_figures(where, record, truth):
    """Each row of a detailed record: all of a domain in one interval."""
    for (domain, from_ns, to_ns), lines in sorted(_rows(record).items()):
        if not truth.has(domain) or any(line["energy_uj"] is None for line in lines):
            continue
        shown = [sum(line[key] for line in lines) / 1e6
                 if all(line.get(key) is not None for line in lines) else None
                 for key in ("energy_uj", "low_uj", "high_uj")]
        used = truth.between_j([domain], from_ns, to_ns)
        yield Figure(f"{where} {domain} row of {(to_ns - from_ns) / 1e9:.3f} s", shown,
                     (used, used))


def stat_machine(fs, seconds, interval_ms=200, options=()):
    """`stat -a --json --record`. Returns (document, figures)."""
    with tempfile.TemporaryDirectory() as directory:
        path, record = pathlib.Path(directory, "stat.json"), pathlib.Path(directory, "record")
        begun_ns = fs.now_ns()
        done = fs.run(POWERMEASURE, "stat", "-a", "-d", seconds, "-I", interval_ms, *options,
                      "--json", "-o", path, "--record", record, timeout=GIVE_UP_S)
        ended_ns = fs.now_ns()
        document = _document_of(path, done)
        rows = _rows(record)
        truth = RaplTruth(fs)
        figures = list(row_figures("stat", record, truth))
    length_ns = round(document["elapsed_s"] * 1e9)
    # The first row begins when the measurement does.
    first_ns, last_ns = begun_ns, ended_ns - length_ns
    if rows:
        last_ns = min(last_ns, min(from_ns for _, from_ns, _ in rows))
        first_ns = max(first_ns, max(to_ns for _, _, to_ns in rows) - length_ns)
        first_ns = min(first_ns, last_ns)

    def true_of(domains):
        return truth.range_j(domains, first_ns, last_ns, length_ns)

    return document, figures + list(_domain_figures("stat", document, true_of))


def listed_watts(fs):
    """`list --json`: {domain: watts or None}."""
    done = fs.run(POWERMEASURE, "list", "--json", timeout=GIVE_UP_S)
    return {d["name"]: d["power_w"] for s in json.loads(done.stdout)["sensors"]
            for d in s["domains"] if s["used"] and s["name"].startswith("rapl")}


def plugin_there(fs, directory, *args):
    """A plugin that runs on the machine. Raises NoFigure where it refuses to."""
    program = pathlib.Path(directory, "plugin-there")
    program.write_text("#!/bin/sh\nexec " + shlex.join(fs.command(POWERMEASURE)) + ' "$@"\n')
    program.chmod(0o755)
    try:
        return Plugin(pathlib.Path(directory, "logs"), *args, program=program)
    except AssertionError as error:
        if "can be used" not in str(error):
            raise
        raise NoFigure(str(error)) from None


def plugin_session(fs, directory, seconds, rate=10, options=()):
    """A session of `plugin`, of a process that sleeps. Returns (what it logged, figures)."""
    record = pathlib.Path(directory, "record")
    sleeper = subprocess.Popen(["sleep", "1000"])
    plugin = plugin_there(fs, directory, "--rate", rate, "--record", record, *options)

    try:
        answer = plugin.send(start_event([sleeper.pid]))
        if answer != PUBLISHED:
            raise NoFigure(answer.decode())
        time.sleep(seconds)  # so long it measures
    finally:
        plugin.stop()
        plugin.close()
        sleeper.kill()
        sleeper.wait()
    return plugin.said, list(row_figures("plugin", record, RaplTruth(fs)))


WINDOW = """
import json, sys, time
from powermeasure import Monitor

def show(energy):
    return energy and [energy.joules, energy.low, energy.high]

monitor = Monitor(sys.argv[1])
before = time.monotonic_ns()
monitor.begin_window("window")
after = time.monotonic_ns()
time.sleep(float(sys.argv[2]))
result = monitor.end_window("window")
figures = {name: show(energy) for name, energy in result.domains.items()}
print(json.dumps([before, after, result.time, figures, show(result.total),
                  [d.name for d in monitor.domains if d.counted]]))
"""


def library_window(fs, seconds, sensors):
    """A window of the library, by Python. Returns the figures."""
    done = fs.run("/usr/bin/python3", "-c", WINDOW, sensors, seconds, timeout=GIVE_UP_S,
                  env=dict(os.environ, PYTHONPATH=str(TOP / "python"),
                           POWERMEASURE_LIBRARY=str(BUILD / "src/lib/libpowermeasure.so")))
    if "MonitorError" in done.stderr:
        raise NoFigure(done.stderr)
    assert done.returncode == 0, done.stderr
    first_ns, last_ns, elapsed_s, domains, total, counted = json.loads(done.stdout)
    truth = RaplTruth(fs)

    def true_of(names):
        return truth.range_j(names, first_ns, last_ns, round(elapsed_s * 1e9))

    figures = [Figure(f"library {name}", shown, true_of([name]))
               for name, shown in domains.items() if shown]
    # What contains others is alone in the sum.
    whole = [name for name in counted if name == "psys"] or counted
    if total:
        figures.append(Figure("library total", total, true_of(whole)))
    return figures


# ---- one process of a load ----------------------------------------------------------------------


class Load:
    """A process of so many watts on a machine, busy for a part of the time, while this is open."""

    def __init__(self, fs, watts, busy):
        self._truth_of, self._mw = (lambda: RaplTruth(fs)), round(watts * 1000)
        nap = 0.03 * (1 - busy) / busy
        self._process = fs.start(
            RAPL_LOAD, watts, "sh", "-c",
            f"while :; do {BUILD / 'tests/fake/burn'} 30; sleep {nap}; done" if busy < 1 else
            "while :; do :; done")
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def true_range_j(self, first_ns, last_ns, length_ns):
        """What it used itself, and at most all that its package used by itself besides."""
        truth = self._truth_of()
        own = [truth.load_j(self._mw, b + length_ns) - truth.load_j(self._mw, b)
               for b in (first_ns, (first_ns + last_ns) // 2, last_ns)]
        idle = truth.range_j(["package-0"], first_ns, last_ns, length_ns)[1] - \
            truth.range_j(["package-0-core"], first_ns, last_ns, length_ns)[0]
        return min(own), max(own) + max(idle, 0)


def stat_load(fs, load, seconds):
    """`stat -p`. Returns the figure of the load."""
    with tempfile.TemporaryDirectory() as directory:
        path, begun_ns = pathlib.Path(directory, "stat.json"), fs.now_ns()
        done = fs.run(POWERMEASURE, "stat", "-p", load.pid, "--tree", "-d", seconds, *ONLY_RAPL,
                      "--json", "-o", path, timeout=GIVE_UP_S)
        ended_ns = fs.now_ns()
        document = _document_of(path, done)
    length_ns = round(document["elapsed_s"] * 1e9)
    return Figure("stat load", _shown(document["targets"][0]["energy_range_j"]["cpu"]),
                  load.true_range_j(begun_ns, ended_ns - length_ns, length_ns))


def send_load(fs, load, seconds):
    """`plugin` with camera-traps' logs and `send --wait`. Returns the figures of the load."""
    with tempfile.TemporaryDirectory() as directory:
        plugin = plugin_there(fs, directory, "--tree", "--log-format", "camera-traps", *ONLY_RAPL)
        try:
            begun_ns = fs.now_ns()
            done = subprocess.run(
                [str(POWERMEASURE), "send", "start", "--to", plugin.address, "--pid", str(load.pid),
                 "--seconds", str(math.ceil(seconds)), "--monitor-types", "events", "--wait"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S)
            ended_ns = fs.now_ns()
        finally:
            plugin.stop()
            plugin.close()
        summary = json.loads(pathlib.Path(directory, "logs", "power_summary_report.json").read_text())
    said = re.search(r"([\d.]+) s, CPU (\S+) J \((?:(\S+) to )?(\S+?)\)", done.stdout)
    assert said, f"{done.stdout}\n{done.stderr}\n{plugin.said}"
    entry, = summary["pid power summary report"]

    def true_of(length_s):
        length_ns = round(length_s * 1e9)
        return load.true_range_j(begun_ns, max(begun_ns, ended_ns - length_ns), length_ns)

    # The text has three digits.
    shown = [float(said.group(i)) if said.group(i) else None for i in (2, 3, 4)]
    bounds = (shown[0], shown[1] and shown[1] * 0.995, shown[2] and shown[2] * 1.005)
    return [Figure("send load", bounds, true_of(float(said.group(1)))),
            Figure("camera-traps load", [entry[f"cpu_energy_{name}"] for name in (
                "joules", "low_joules", "high_joules")], true_of(entry["cpu_seconds"]))]


# ---- scenes --------------------------------------------------------------------------------------

CURVES = ("steady", "square", "bursts", "steps", "walk", "idle")
LAYOUTS = ("one package", "parts", "two packages", "psys")
PERIODS_MS = (0.976, 1.0, 10.0, 50.0, 100.0, 1000.0)
# A library with a sanitizer in it serves programs with one only.
COMMANDS = ("run", "stat", "plugin") + (
    () if re.search(rb"__[at]san_init", POWERMEASURE.read_bytes()) else ("library",))
FAULTS = ("none", "eio", "eio to the end", "vanish and back", "vanish to the end", "stuck",
          "stuck to the end", "reset", "jump back", "jump on", "glitch", "slow")


def random_curve(kind, chance, scale=1.0):
    """A curve of one of CURVES, in watts of a package."""
    def watts(low, high):
        return round(chance.uniform(low, high) * scale, 3)
    if kind == "steady":
        return [[1.0, watts(5, 200)]]
    if kind == "idle":
        return [[1.0, watts(0.2, 2)]]
    if kind == "square":
        half = 10 ** chance.uniform(-3, 0.3)
        return [[round(half, 6), watts(5, 40)], [round(half * chance.uniform(0.2, 3), 6),
                                                 watts(60, 250)]]
    if kind == "bursts":
        return [[round(chance.uniform(0.004, 0.2), 6), watts(5, 40)],
                [round(chance.uniform(0.0005, 0.003), 6), watts(150, 300)]]
    if kind == "steps":
        return [[round(chance.uniform(0.05, 1), 6), watts(5, 200)] for _ in range(8)]
    level, walk = chance.uniform(20, 150), []
    for _ in range(60):
        level = min(250.0, max(5.0, level * chance.uniform(0.8, 1.25)))
        walk.append([round(chance.uniform(0.001, 0.02), 6), round(level * scale, 3)])
    return walk


def random_zones(curve, layout, chance):
    def package(number):
        # Away from where the register starts again by itself: a reset would look like that.
        return {"name": f"package-{number}", "curve": random_curve(curve, chance),
                "esu": chance.choice([14, 14, 16]), "start": chance.randrange(2 ** 28, 2 ** 31)}
    zones = [package(0)]
    if layout == "parts":
        zones[0]["parts"] = [
            dict(package(0), name="core", curve=random_curve(curve, chance, 0.6)),
            dict(package(0), name="dram", curve=random_curve(curve, chance, 0.1), esu=16,
                 shown_nj=15300)]
    if layout == "two packages":
        zones.append(package(1))
    if layout == "psys":
        zones.append(dict(package(0), name="psys", curve=[[1.0, round(chance.uniform(2, 30), 3)]],
                          sum={"intel-rapl:0": 1.1}))
    return zones


def fault_lines(fault, seconds, chance):
    """A fault of FAULTS of the first zone, within a measurement that begins soon and lasts so long."""
    zone = "intel-rapl:0"
    at = f"at={0.3 + chance.uniform(0.1, 0.8) * seconds:.6f}"
    short = f"for={chance.uniform(0.1, 0.6) * seconds:.6f}"
    return {
        "none": [],
        "eio": [f"eio {zone} {at} {short}"],
        "eio to the end": [f"eio {zone} {at}"],
        "vanish and back": [f"vanish {zone} {at} {short}"],
        "vanish to the end": [f"vanish {chance.choice([zone, 'all'])} {at}"],
        "stuck": [f"stuck {zone} {at} {short}"],
        "stuck to the end": [f"stuck {zone} {at}"],
        "reset": [f"jump {zone} {at} to=0"],
        "jump back": [f"jump {zone} {at} by=-{chance.uniform(10, 5000):.3f}"],
        "jump on": [f"jump {zone} {at} by={chance.uniform(20000, 60000):.3f}"],
        "glitch": [f"jump {zone} {at} by={chance.choice([-1, 1]) * 30000} reads=1"],
        "slow": [f"slow {zone} {at} {short} ms={chance.uniform(1, 60):.3f}"],
        # This leaves no trace: the machine might have used so much.
        "small jump on": [f"jump {zone} {at} by={chance.uniform(0.5, 3):.3f}"],
    }[fault]


class Scene:
    """One measurement of one machine, all by chance from a seed. Members that are given are kept."""

    kind = "RAPL"

    def __init__(self, seed, **given):
        chance = random.Random(seed)
        drawn = {"curve": chance.choice(CURVES), "layout": chance.choice(LAYOUTS),
                 "update_ms": chance.choice(PERIODS_MS), "command": chance.choice(COMMANDS),
                 "fault": chance.choice(FAULTS),
                 "seconds": round(10 ** chance.uniform(-1.0, 0.6), 3)}
        drawn.update(given)
        self.seed = seed
        self.__dict__.update(drawn)
        if self.command in ("stat", "plugin"):
            self.seconds = max(self.seconds, 1.0)
        self.script = {
            "seed": seed, "update_ms": self.update_ms,
            "jitter_us": round(self.update_ms * chance.choice([0, 20, 200]), 3),
            "zones": random_zones(self.curve, self.layout, chance)}
        # A fault of a time counts from when the machine is there, some tenths before it is measured.
        self.script["faults"] = fault_lines(self.fault, self.seconds, chance)
        self.interval_ms = chance.choice([20, 100, 500])

    def __str__(self):
        return (f"seed {self.seed}: {self.command} of {self.seconds} s, {self.layout}, {self.curve}, "
                f"updates of {self.update_ms} ms, fault: {self.fault}")

    def repeat(self):
        """What is needed to see it again."""
        return f"{self}\nthe machine: {json.dumps(self.script)}"

    def measure(self):
        """Returns the figures. Raises NoFigure."""
        zones = self.script["zones"]
        world = {k: v for k, v in self.script.items() if k != "zones"}
        with RaplFs(*zones, **world) as fs:
            if self.command == "run":
                return run_command(fs, self.seconds, options=ONLY_RAPL)[1]
            if self.command == "stat":
                return stat_machine(fs, self.seconds, self.interval_ms, ONLY_RAPL)[1]
            if self.command == "library":
                return library_window(fs, self.seconds, ONLY_RAPL[1])
            with tempfile.TemporaryDirectory() as directory:
                return plugin_session(fs, directory, self.seconds, 10, ONLY_RAPL)[1]


class LoadScene:
    """One measurement of a process on a machine whose energy follows from what processes use."""

    COMMANDS = ("run", "stat", "send")
    # What tables are made by.
    kind, fault, curve, update_ms = "a process", "none", "load", 1.0

    def __init__(self, seed, **given):
        chance = random.Random(seed)
        drawn = {"command": chance.choice(self.COMMANDS), "watts": round(chance.uniform(2, 60), 3),
                 "busy": chance.choice([0.2, 0.5, 1.0]),
                 "other_watts": chance.choice([0, round(chance.uniform(2, 60), 3)]),
                 "seconds": round(10 ** chance.uniform(0, 0.5), 3)}
        drawn.update(given)
        self.seed = seed
        self.__dict__.update(drawn)
        self.layout = "beside another load" if self.other_watts else "alone"
        idle_w = round(chance.uniform(1, 20), 3)
        self.zone = {"name": "package-0", "parts": [{"name": "core", "loads": "dynamic"}],
                     "loads": {"idle_w": idle_w, "idle_loaded_w": idle_w * chance.choice([1, 1.5]),
                               "turbo": chance.choice([0, 0.4]), "drift": chance.choice([0, 0.1]),
                               "smt": chance.choice([2, 1.2]), "siblings": [[0, 1]]}}

    def __str__(self):
        return (f"seed {self.seed}: {self.command} of {self.seconds} s, a load of {self.watts} W busy "
                f"for {self.busy}, another of {self.other_watts} W")

    def repeat(self):
        return f"{self}\nthe machine: {json.dumps(self.zone)}"

    def measure(self):
        """Returns the figures of the process."""
        with RaplFs(self.zone, seed=self.seed) as fs, contextlib.ExitStack() as open_loads:
            if self.other_watts:
                open_loads.enter_context(Load(fs, self.other_watts, 0.5))
            if self.command == "run":
                return run_load(fs, self.watts, self.seconds, self.busy * self.seconds / 2,
                                ONLY_RAPL)[1][-1:]
            load = open_loads.enter_context(Load(fs, self.watts, self.busy))
            wait_for(lambda: any(known["pid"] == load.pid for known in
                                 fs.truth(fs.now_ns())["loads"]), "the load")
            return [stat_load(fs, load, self.seconds)] if self.command == "stat" else \
                send_load(fs, load, self.seconds)
