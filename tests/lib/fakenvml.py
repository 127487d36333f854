# SPDX-License-Identifier: MIT
"""A fake NVIDIA driver for the program under test: tests/fake, built with it. What it pretends is
described in tests/fake/model.h."""

import json
import os
import struct

import pytest

from conftest import BUILD

LIBRARY_DIR = BUILD / "tests" / "fake"
OLD_LIBRARY_DIR = LIBRARY_DIR / "old"

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, TIMEOUT = 3, 4, 9, 10
GPU_IS_LOST, RESET_REQUIRED, VERSION_MISMATCH, UNKNOWN = 15, 16, 18, 999

FIELDS = "nvmlDeviceGetFieldValues"
ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
POWER = "nvmlDeviceGetPowerUsage"
READS = (FIELDS, ENERGY, POWER)


def gpu(curve, **more):
    """One GPU; a curve may be a number of watts."""
    if not isinstance(curve, list):
        curve = [[1, curve]]
    return dict(more, curve=curve)


def power_only(curve, **more):
    """A GPU without an energy counter that a driver of any age knows."""
    return gpu(curve, counter=False, fields=False, **more)


class FakeNvml:
    """One machine's GPUs. `env` makes a program find them."""

    def __init__(self, directory, *gpus, faults=(), old=False, **config):
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "nvml.json"
        self._counts = directory / "counts"
        self._config = dict(config, gpus=list(gpus), counts=str(self._counts))
        self.faults(*faults)
        library = OLD_LIBRARY_DIR if old else LIBRARY_DIR
        assert (library / "libnvidia-ml.so.1").exists(), f"{library}: not built"
        self.env = {"FAKE_NVML": str(self.path), "LD_LIBRARY_PATH": os.pathsep.join(
            [str(library), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])}

    def faults(self, *faults):
        """From now on these things go wrong, and no others. A program that runs notices it at its
        next call."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(dict(self._config, faults=list(faults))))
        new.rename(self.path)

    def counts(self):
        """{function: how often it was called}, by all programs so far."""
        if not self._counts.exists():
            return {}
        return {name.rstrip(b"\0").decode(): n
                for name, n in struct.iter_unpack("=56sQ", self._counts.read_bytes()) if n}

    def reads(self):
        """How often energy or power was asked for."""
        counts = self.counts()
        return sum(counts.get(name, 0) for name in READS)


@pytest.fixture
def fake_nvml(tmp_path):
    """Makes machines: fake_nvml(gpu(...), gpu(...), faults=[...])."""
    n = [0]

    def make(*gpus, **keywords):
        n[0] += 1
        return FakeNvml(tmp_path / f"nvml-{n[0]}", *gpus, **keywords)

    return make


def turned(curve, seconds):
    """The same curve, begun so much later."""
    seconds %= sum(s for s, _ in curve)
    head, tail = [], list(curve)
    while seconds > 0:
        s, w = tail.pop(0)
        if s > seconds:
            tail.insert(0, [s - seconds, w])
            s = seconds
        head.append([s, w])
        seconds -= s
    return tail + head
