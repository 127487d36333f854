# SPDX-License-Identifier: MIT
"""A plugin with the GPUs of a fake driver library, and the truth about these."""

import re

import pytest

from conftest import PUBLISHED, records, sim_energy_j, sim_script, start_event
from fakenvml import fake_nvml  # noqa: F401 (a fixture)

CPU_AND_GPU, GPU_ONLY = [0], [2]


class Meter:
    """A plugin that sees one fake machine: the CPU of `sim`, and GPUs."""

    def __init__(self, plugin, directory, fake, *args, sensors=None, wait=True, **keywords):
        directory.mkdir(parents=True, exist_ok=True)
        if sensors is None:
            cpu = {"name": "package-0", "kind": "cpu", "curve": [[1, 10]]}
            sensors = sim_script(directory / "sim.json", cpu) + ",nvml"
        self.fake = fake
        self.record = directory / "record.jsonl"
        self.plugin = plugin("--sensors", sensors, "--record", self.record, *args, env=fake.env,
                             log_dir=directory / "logs", wait=False, **keywords)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        self.plugin.address = self.plugin.wait_said(r"listening at (\S+)").group(1)

    @property
    def said(self):
        return self.plugin.said

    def begin(self, pid, types=CPU_AND_GPU, seconds=0):
        assert self.plugin.send(start_event([pid], types, seconds)) == PUBLISHED

    def wait_over(self):
        self.plugin.wait_said("time is up")

    def watts(self, name="GPU.json"):
        return list(self.plugin.log(name).values())

    def lines(self, kind, **more):
        """Lines of the record."""
        return [line for line in records(self.record) if line["kind"] == kind
                and all(line[k] == v for k, v in more.items())]

    def span(self):
        """When the session began and ended, by its CPU lines: these are read at once."""
        lines = self.lines("cpu")
        return lines[0]["t_ns"] - lines[0]["interval_ns"], lines[-1]["t_ns"]

    def total_j(self):
        """What the log says at the end: (joules, least, most)."""
        found = re.search(r"GPU[ A-Za-z,]* ([\d.]+) J \(([\d.]+) to ([\d.]+)\)", self.said)
        assert found, self.said
        return tuple(float(group) for group in found.groups())


@pytest.fixture
def meter(plugin, tmp_path, fake_nvml):  # noqa: F811
    """meter(gpu(...), ..., args=[...], faults=[...]): a plugin and its fake machine."""
    n = [0]

    def start(*gpus, args=(), sensors=None, wait=True, **fake):
        n[0] += 1
        return Meter(plugin, tmp_path / f"meter-{n[0]}", fake_nvml(*gpus, **fake), *args,
                     sensors=sensors, wait=wait)

    return start


def truth_j(curve, from_ns, to_ns):
    return sim_energy_j(curve, to_ns) - sim_energy_j(curve, from_ns)


def energy_of(lines):
    """Energy and time of lines of one domain: (joules, from ns, to ns). They have to join."""
    for before, after in zip(lines, lines[1:]):
        assert after["t_ns"] - after["interval_ns"] == before["t_ns"], (before, after)
    return (sum(line["energy_uj"] for line in lines) / 1e6,
            lines[0]["t_ns"] - lines[0]["interval_ns"], lines[-1]["t_ns"])


def session(meters, pid, seconds, types=CPU_AND_GPU):
    for m in meters:
        m.wait_ready()
    for m in meters:
        m.begin(pid, types, seconds)
    for m in meters:
        m.wait_over()


def off(value, truth):
    return value / truth - 1


def steady(lines, watts, limit):
    """Whether lines tell a steady power. Where the machine does something else meanwhile, an update is
    found late: that line is a bit too long and the next one as much too short."""
    deviations = sorted(abs(off(line, watts)) for line in lines)
    return (deviations and deviations[len(lines) // 2] < limit and deviations[-1] < max(0.3, limit)
            and abs(off(sum(lines) / len(lines), watts)) < max(0.01, limit))
