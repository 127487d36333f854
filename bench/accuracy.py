#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How near figures are to what was really used, as a table for docs/accuracy.md: machines with a simulated
RAPL (sim/rapl-fs) and GPUs of a fake driver (tests/fake), with curves, durations, layouts, update
periods and faults drawn by chance, measured by run, stat, plugin and the library.

An interval is one energy of one domain over one time that some output shows. Each is held against the
range of what can have been used in that time (tests/lib/raplscenes.py). Exits 1 where a hard bound
excludes the truth though the fault leaves a trace, or where 95 % intervals hold it too rarely.

    ninja -C build-test && bench/accuracy.py --scenes 400 --update docs/accuracy.md
"""

import argparse
import collections
import concurrent.futures
import json
import math
import os
import pathlib
import random
import statistics
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

# No reading can tell this from a machine that used so much more.
TRACELESS = ("small jump on",)

# What --update replaces.
BEGIN, END = "<!-- made by bench/accuracy.py: begin -->\n", "<!-- made by bench/accuracy.py: end -->\n"

# How often the truth must be inside a 95 % interval: of all, and of each fault and curve of which there
# are enough to tell.
ALL_95, GROUP_95, ENOUGH_95 = 0.94, 0.90, 40


def load_scenes(build):
    """The tests' own code, which finds the build by the environment."""
    os.environ["PM_BUILD"] = str(build)
    sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests" / "lib")]
    import gpuscenes
    import raplscenes
    return raplscenes, gpuscenes


def drawn(raplscenes, gpuscenes, n, seed, only):
    """n scenes, 6 of 10 RAPL, 3 GPUs, 1 a process: each fault with each curve in turn, all else by
    chance."""
    chance = random.Random(seed)
    parts = {"rapl": 6, "gpu": 3, "process": 1}
    many = {kind: n if kind == only else 0 if only else n * part // 10
            for kind, part in parts.items()}
    pairs = [(f, c) for f in raplscenes.FAULTS + TRACELESS for c in raplscenes.CURVES]
    scenes = turns(raplscenes.Scene, pairs, many["rapl"], seed, chance)
    pairs = [(f, c) for f in gpuscenes.GPU_FAULTS for c in gpuscenes.GPU_CURVES]
    scenes += turns(gpuscenes.GpuScene, pairs, many["gpu"], seed + 10 ** 6, chance)
    scenes += [raplscenes.LoadScene(seed + 2 * 10 ** 6 + i) for i in range(many["process"])]
    chance.shuffle(scenes)
    return scenes


def turns(kind, pairs, n, seed, chance):
    chance.shuffle(pairs)
    return [kind(seed + i, fault=pairs[i % len(pairs)][0], curve=pairs[i % len(pairs)][1])
            for i in range(n)]


# ---- sums ----------------------------------------------------------------------------------------


class Sum:
    """What a row of the table is about."""

    def __init__(self):
        self.n = self.inside = self.known = self.in_95 = self.with_95 = 0
        self.errors, self.widths, self.widths_95 = [], [], []

    def add(self, figure):
        self.n += 1
        self.inside += not figure.is_wrong()
        if figure.true_j <= 0 or figure.energy_j is None or figure.partial:
            return
        self.known += 1
        # Within the range of the truth nothing is known to be off.
        off = figure.energy_j - min(max(figure.energy_j, figure.true_low_j), figure.true_high_j)
        self.errors.append(off / figure.true_j)
        if figure.low_j is not None and figure.high_j is not None:
            self.widths.append((figure.high_j - figure.low_j) / 2 / figure.true_j)
        if figure.interval_j:
            low, high = figure.interval_j
            self.with_95 += 1
            self.in_95 += low <= figure.true_high_j and high >= figure.true_low_j
            self.widths_95.append((high - low) / 2 / figure.true_j)

    def row(self, name):
        def percent(part, digits=2):
            return "-" if part is None else f"{part * 100:.{digits}f} %"

        def median(values):
            return percent(statistics.median(values) if values else None)
        rms = math.sqrt(statistics.fmean(e * e for e in self.errors)) if self.errors else None
        return (f"| {name} | {self.n} | {self.n - self.known} | {percent(rms)} | "
                f"{median([abs(e) for e in self.errors])} | {percent(self.inside / self.n)} | "
                f"{percent(self.in_95 / self.with_95 if self.with_95 else None, 1)} | "
                f"{median(self.widths)} | {median(self.widths_95)} |")


HEAD = ("| | intervals | partial or unknown | RMS error | median error | inside the hard bounds | "
        "inside the 95 % interval | median half width, hard | 95 % |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")


def length_of(scene):
    for limit in (0.3, 1, 3):
        if scene.seconds < limit:
            return f"below {limit} s"
    return "3 s and more"


def groups_of(scene, figure):
    """The rows of the table in which a figure is."""
    kind = scene.kind
    yield "all", kind + (": rows" if "row" in figure.what else ": whole measurements")
    if "row" in figure.what:
        return
    yield "fault", f"{kind}: {scene.fault}"
    yield "curve", f"{kind}: {scene.curve}"
    yield "update period", f"{kind}: {scene.update_ms:g} ms"
    yield "layout", f"{kind}: {scene.layout}"
    yield "length", f"{kind}: {length_of(scene)}"
    yield "output", f"{kind}: {scene.command}"


def sums_of(measured):
    """{group: {row: Sum}}. A fault that leaves no trace is in a row of its own alone."""
    sums = collections.defaultdict(lambda: collections.defaultdict(Sum))
    for scene, figures in measured:
        for figure in figures:
            for group, name in groups_of(scene, figure):
                if scene.fault not in TRACELESS or group == "fault":
                    sums[group][name].add(figure)
    return sums


def missed(sums):
    """Where the 95 % intervals hold the truth less often than they promise: sentences."""
    for group, least in ("all", ALL_95), ("fault", GROUP_95), ("curve", GROUP_95):
        for name, s in sums[group].items():
            if s.with_95 >= ENOUGH_95 and s.in_95 < least * s.with_95:
                yield (f"{group}, {name}: {s.in_95} of {s.with_95} are inside the 95 % interval, "
                       f"fewer than {least:.0%}")


def table(sums):
    """The Markdown text of all groups."""
    text = []
    for group in ("all", "fault", "curve", "update period", "layout", "length", "output"):
        title = "By " + group if group != "all" else "All"
        text += [f"\n**{title}**\n", HEAD]
        text += [s.row(name) for name, s in sorted(sums[group].items())]
    return "\n".join(text)


# ---- measuring -----------------------------------------------------------------------------------


def measure(scene, no_figure):
    """The figures of a scene, or why there are none."""
    try:
        return scene.measure(), None
    except no_figure as reason:
        return [], str(reason)


def measure_all(scenes, jobs, no_figure):
    measured, refused = [], 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(measure, s, no_figure): s for s in scenes}
        for i, done in enumerate(concurrent.futures.as_completed(waiting), 1):
            figures, reason = done.result()
            refused += reason is not None
            measured.append((waiting[done], figures))
            print(f"\r{i} of {len(scenes)} scenes", end="", file=sys.stderr)
    print(file=sys.stderr)
    return measured, refused


def report_wrong(measured):
    """Names each figure whose hard bounds exclude the truth. Returns how many have a traceable fault."""
    n = 0
    for scene, figures in measured:
        wrong = [f for f in figures if f.is_wrong()]
        if wrong and scene.fault not in TRACELESS:
            n += len(wrong)
            print(f"{scene.repeat()}\n" + "\n".join(f"  {f}" for f in wrong[:3]), file=sys.stderr)
    return n


def update(path, text):
    """Puts the text in the place of the one before."""
    head, _, rest = path.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        sys.exit(f"{path}: no place for the table: '{BEGIN.strip()}' and '{END.strip()}' are missing")
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build-test")
    parser.add_argument("--scenes", type=int, default=400, help="how many [400]")
    parser.add_argument("--seed", type=int, help="the first scene's [by chance]")
    parser.add_argument("--jobs", type=int, default=4 * (os.cpu_count() or 1),
                        help="how many at a time; they sleep mostly [4 for each CPU]")
    parser.add_argument("--only", choices=["rapl", "gpu", "process"])
    parser.add_argument("--update", type=pathlib.Path, metavar="FILE",
                        help="put the table into this Markdown file in the place of the last one")
    parser.add_argument("--json", type=pathlib.Path, help="write each figure into this file, too")
    options = parser.parse_args()
    raplscenes, gpuscenes = load_scenes(options.build.resolve())
    seed = options.seed if options.seed is not None else random.randrange(10 ** 9)
    scenes = drawn(raplscenes, gpuscenes, options.scenes, seed, options.only)
    measured, refused = measure_all(scenes, options.jobs, raplscenes.NoFigure)
    if options.json:
        options.json.write_text(json.dumps([dict(scene=str(s), **vars(f))
                                            for s, figures in measured for f in figures]))
    wrong, sums = report_wrong(measured), sums_of(measured)
    complaints = list(missed(sums))
    print("".join(f"{c}\n" for c in complaints), end="", file=sys.stderr)
    n = sum(len(figures) for _, figures in measured)
    text = (f"`bench/accuracy.py --scenes {options.scenes} --seed {seed}`: {n} intervals in "
            f"{len(scenes)} measurements, of which {refused} were refused with a reason.\n"
            + table(sums))
    print(text)
    if options.update:
        update(options.update, text)
    return 1 if wrong or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
