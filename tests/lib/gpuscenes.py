# SPDX-License-Identifier: MIT
"""The same as raplscenes for GPUs of a fake driver (fakenvml): measured, and held against the truth."""

import json
import os
import pathlib
import random
import subprocess
import tempfile

from fakenvml import FakeNvml
from raplscenes import STAMPED, CurveTruth, measured_command

GPU_CURVES = ("steady", "square", "period of the updates", "steps", "bursts")
# How a driver shows power and energy (field 83 is energy, 185 a mean, 186 power at the moment), and the
# part of the time between two updates that its power is the mean of.
GPU_KINDS = {
    "counter": {},
    "counter without stamps": {"stamps": "none"},
    "power at the moment": {"counter": False, "fields": [186], "window": 0.01},
    "power of a quarter": {"counter": False, "fields": [186], "window": 0.25},
    "power of the whole period": {"counter": False, "fields": False, "window": 1},
    "mean of a second": {"counter": False, "fields": [185], "power": False}}
GPU_PERIODS_MS = (20, 100, 500, 1000)
GPU_FAULTS = ("none", "errors", "errors to the end", "stuck", "stuck to the end", "restart", "slow",
              "reload")


def random_curve(kind, update_ms, chance):
    def watts(low, high):
        return round(chance.uniform(low, high), 3)
    if kind == "steady":
        return [[1.0, watts(20, 600)]]
    if kind == "square":
        half = 10 ** chance.uniform(-2, 0.5)
        return [[round(half, 6), watts(20, 80)], [round(half * chance.uniform(0.3, 2), 6),
                                                  watts(200, 600)]]
    if kind == "period of the updates":
        half = update_ms / 2e3
        return [[half, watts(20, 80)], [half, watts(200, 600)]]
    if kind == "bursts":
        return [[round(chance.uniform(0.02, 0.3), 6), watts(20, 80)],
                [round(chance.uniform(0.001, 0.01), 6), watts(300, 600)]]
    return [[round(chance.uniform(0.1, 2), 6), watts(20, 600)] for _ in range(8)]


def fault_of(fault, seconds, update_ms, chance):
    """In the words of tests/fake/model.h; its times count from when the program asks for the driver,
    which it then looks at for some updates before a command begins."""
    at = round(0.3 + 3e-3 * update_ms + chance.uniform(0.1, 0.8) * seconds, 3)
    short = round(chance.uniform(0.1, 0.6) * seconds, 3)
    return {
        "none": [],
        "errors": [{"what": "error", "error": 999, "at": at, "for": short}],
        "errors to the end": [{"what": "error", "error": 999, "at": at}],
        "stuck": [{"what": "stuck", "at": at, "for": short}],
        "stuck to the end": [{"what": "stuck", "at": at}],
        "restart": [{"what": "reload", "error": 1, "at": at, "for": 0.001}],
        "slow": [{"what": "slow", "ms": chance.randrange(1, 200), "at": at, "for": short,
                  "early": chance.random() < 0.5}],
        "reload": [{"what": "reload", "error": 4, "at": at, "for": short}],
    }[fault]


class GpuScene:
    """One measurement of a GPU, all by chance from a seed. Members that are given are kept."""

    kind, command = "GPU", "run"

    def __init__(self, seed, **given):
        chance = random.Random(seed)
        drawn = {"curve": chance.choice(GPU_CURVES), "layout": chance.choice(list(GPU_KINDS)),
                 "update_ms": chance.choice(GPU_PERIODS_MS), "fault": chance.choice(GPU_FAULTS),
                 "seconds": round(10 ** chance.uniform(-0.3, 0.8), 3)}
        drawn.update(given)
        self.seed = seed
        self.__dict__.update(drawn)
        self.watts = random_curve(self.curve, self.update_ms, chance)
        kind = dict(GPU_KINDS[self.layout])
        kind["window_ms"] = kind.pop("window", 1) * self.update_ms
        self.gpu = dict(kind, curve=self.watts, update_ms=self.update_ms,
                        phase_ms=round(chance.random() * self.update_ms, 3),
                        jitter_ms=round(self.update_ms * chance.choice([0, 0.05]), 3))
        self.faults = fault_of(self.fault, self.seconds, self.update_ms, chance)

    def __str__(self):
        return (f"seed {self.seed}: run of {self.seconds} s, GPU with {self.layout}, {self.curve}, "
                f"updates of {self.update_ms} ms, fault: {self.fault}")

    def repeat(self):
        """What is needed to see it again."""
        return f"{self}\nthe GPU: {json.dumps(self.gpu)}, faults: {json.dumps(self.faults)}"

    def measure(self):
        """Returns the figures. Raises NoFigure."""
        with tempfile.TemporaryDirectory() as directory:
            fake = FakeNvml(pathlib.Path(directory, "nvml"), self.gpu, faults=self.faults)

            def run(*argv, timeout):
                return subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, timeout=timeout,
                                      env=dict(os.environ, **fake.env))

            truth = CurveTruth({"gpu-0": self.watts})
            return measured_command(run, lambda: truth, (STAMPED, self.seconds),
                                    ("--sensors", "nvml"))[1]
